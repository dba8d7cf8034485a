#!/usr/bin/env bash
# Runs the tests that need a SLURM cluster, on one that they start on this machine and stop again; installs Debian's
# slurm-wlm and munge where that is possible. Without them, or without root, the tests are skipped, saying so; with
# MILOPYP_NO_SKIP that is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! { command -v slurmctld && command -v munged; } > /dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null ||
            echo "SLURM could not be installed"
    fi
fi
exec .venv/bin/pytest tests/cluster
