#!/usr/bin/env bash
# Runs the browser tests; installs Debian's Chromium where that is possible. Without it they are skipped, saying so;
# with MILOPYP_NO_SKIP that is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! { command -v chromium && command -v chromedriver; } > /dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver > /dev/null ||
            echo "Chromium could not be installed"
    fi
fi
exec .venv/bin/pytest tests/browser
