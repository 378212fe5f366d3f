#!/usr/bin/env bash
# Prints the score card of packaging and operation.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "score-card.sh: python3 is missing (Debian: apt-get install python3)" >&2; exit 1; }
exec python3 tests/chart/score_card.py "$@"
