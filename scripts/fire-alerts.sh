#!/usr/bin/env bash
# Makes every alert of the application fire for real.
set -euo pipefail

case "${1:-}" in
  -h | --help)
    cat <<'TEXT'
Usage: scripts/fire-alerts.sh

Runs the API with Prometheus and Alertmanager, makes one fault after the other, and prints which fault made which alert
fire, after how many seconds (an hour of the rules' times is one here), and who was told. Fails if one does not fire.
The table is left in target/fired.json.
TEXT
    exit 0
    ;;
esac
exec "$(dirname "$0")/test-monitoring.sh" --fire-all --capture no -k test_stack
