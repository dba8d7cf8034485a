#!/usr/bin/env bash
# Runs the example workflow with Snakemake, in an environment of its own, which needs a package index. Where it cannot be
# installed the test is skipped, saying so; with MILOPYP_NO_SKIP that is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
if "${PYTHON:-python3}" -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check snakemake==9.27.1; then
    export MILOPYP_SNAKEMAKE="$work/bin/snakemake"
else
    echo "Snakemake could not be installed"
fi
.venv/bin/pytest tests/pipelines
