"""The score card of packaging and operation: points for what tests measured, the same for the same figures.

    score_card.py [--json] [--check]

Reads chart.json, written by scripts/test-chart.sh, runtime.json, written by the test that runs the pods, alerts.json,
written by scripts/test-monitoring.sh, and operations.json, written by scripts/test-operations.sh, from target/score-card (or
ORDER_FOOD_SCORES). What was not measured has no points. --check fails if a row has fewer points than in
tests/chart/score_baseline.json; rows of the other files count only if these are there, as the chart's tests do not make them.
Row 12 has 4 points in the baseline, of 5: images of tests have programs that are not linked as small as those released.

alerts.json (an alert is complete with a firing test, a silent test, a runbook and an owner):
  {"alerts": {"rules": 39, "complete": 39}}
operations.json (a query is backed if it parses and its metrics are in a scrape, or documented for a cluster):
  {"dashboard_queries": 60, "dashboard_queries_backed": 60}
runtime.json:
  {"smoke": {"steps": {"NAME": true, …}, "failed_requests": 0, "api_stop_seconds": 5.2, "job_stop_seconds": 0.3},
   "images": {"order-food": {"mb": 9.5, "non_root": true, "same_id_twice": true, "sbom": true, "no_shell": true}, …}}
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("ORDER_FOOD_SCORES", HERE.parents[1] / "target" / "score-card"))
BASELINE = HERE / "score_baseline.json"
IMAGE_MB = {"order-food": 20, "database-migration": 12, "database-load": 12}

# Files with figures, the rows that need them, and what makes them.
ELSEWHERE = {
    "alerts": ((8,), "scripts/test-monitoring.sh"),
    "operations": ((9,), "scripts/test-operations.sh"),
    "runtime": ((11, 12), "scripts/test-containers.sh"),
}

Row = tuple[float, str]


def share(part: float, whole: float) -> float:
    """How much of it, at most all."""
    return min(part / whole, 1) if whole else 0


def schema(f: dict) -> Row:
    good, all_ = f["value_leaves_described"], f["value_leaves"]
    return share(good, all_), f"{good} of {all_} values"


def fuzz(f: dict) -> Row:
    parts = [value for key, value in f.items() if key.startswith("fuzz_")]
    bad, rendered, refused = (sum(part[key] for part in parts) for key in ("bad", "rendered", "refused"))
    # One in twenty is as bad as it gets.
    return max(1 - share(bad, (rendered + bad) / 20), 0) * share(rendered, 200), f"{bad} bad of {rendered} rendered; {refused} refused with a message"


def validity(f: dict) -> Row:
    return share(f["validity_passed"], f["validity_total"]), f"{f['validity_passed']} of {f['validity_total']} scenarios and versions"


def restricted(f: dict) -> Row:
    return float(f["restricted_violations"] == 0 and f["restricted_pods"] > 0), f"{f['restricted_violations']} violations in {f['restricted_pods']} pods"


def checkov(f: dict) -> Row:
    hardened = f["checkov_hardened_failed"] == 0 and f["checkov_hardened_skips"] <= 2
    text = f"default {f['checkov_default_share']:.1%} ({f['checkov_default_unskipped_share']:.1%} if its skips counted as failed); hardened {f['checkov_hardened_failed']} failed of {f['checkov_hardened_passed'] + f['checkov_hardened_failed']}, {f['checkov_hardened_skips']} skips"
    return share(f["checkov_default_share"], 0.97) / 2 + hardened / 2, text


def mutation(f: dict) -> Row:
    return share(share(f["mutants_killed"], f["mutants"]), 0.95), f"{f['mutants_killed']} of {f['mutants']} killed"


def in_step(f: dict) -> Row:
    faults = len(f["docs_stale"]) + len(f["commands_failed"])
    return float(faults == 0 and f["commands_run"] > 0), f"{faults} faults; {f['commands_run']} commands run"


def lifecycle(f: dict) -> Row:
    steps = {major: len(passed) for major, passed in f["lifecycle"].items()}
    return share(sum(steps.values()), 5 * len(steps)), ", ".join(f"helm {major}: {passed} of 5" for major, passed in steps.items())


def smoke(f: dict) -> Row:
    s = f["smoke"]
    passed = [name for name, ok in s["steps"].items() if ok]
    bars = {"no failed request": s["failed_requests"] == 0, "API stops in 10 s": s["api_stop_seconds"] <= 10, "jobs stop in 1 s": s["job_stop_seconds"] <= 1}
    text = f"{len(passed)} of {len(s['steps'])} steps; {s['failed_requests']} failed requests; SIGTERM to exit {s['api_stop_seconds']} s, jobs {s['job_stop_seconds']} s"
    return share(len(passed) + sum(bars.values()), len(s["steps"]) + len(bars)), text


def images(f: dict) -> Row:
    checks = []
    for name, limit in IMAGE_MB.items():
        image = f["images"].get(name, {})
        checks += [image.get("mb", limit + 1) <= limit, *(image.get(key, False) for key in ("non_root", "same_id_twice", "sbom", "no_shell"))]
    return share(sum(checks), len(checks)), ", ".join(f"{name} {f['images'][name]['mb']} MB" for name in IMAGE_MB if name in f["images"])


def alerts(f: dict) -> Row:
    good, all_ = f["alerts"]["complete"], f["alerts"]["rules"]
    return share(good, all_), f"{good} of {all_} with firing test, silent test, runbook, owner"


def dashboards(f: dict) -> Row:
    good, all_ = f["dashboard_queries_backed"], f["dashboard_queries"]
    return share(good, all_), f"{good} of {all_} queries parse and have their metrics"


# Number, measure, points, how they come about.
ROWS = [
    (1, "values typed, described, closed", 12, schema),
    (2, "generated values render", 8, fuzz),
    (3, "valid in every version", 8, validity),
    (4, "pods restricted", 10, restricted),
    (5, "checkov", 10, checkov),
    (6, "strength of the tests", 10, mutation),
    (7, "docs in step", 5, in_step),
    (8, "alerts", 10, alerts),
    (9, "dashboards", 5, dashboards),
    (10, "lifecycle", 7, lifecycle),
    (11, "pods run", 10, smoke),
    (12, "images", 5, images),
]


def card() -> dict:
    """The rows, with points, and the sum."""
    figures: dict = {}
    for name in ("chart", *ELSEWHERE):
        file = FOLDER / f"{name}.json"
        if file.exists():
            figures |= json.loads(file.read_text())
    rows = []
    for number, measure, points, count in ROWS:
        try:
            part, text = count(figures)
        except KeyError as missing:
            part, text = 0.0, f"not measured ({missing.args[0]})"
        rows.append({"row": number, "measure": measure, "points": round(points * part, 2), "of": points, "figures": text})
    return {"rows": rows, "points": round(sum(row["points"] for row in rows), 2), "of": sum(row["of"] for row in rows), "skips": figures.get("checkov_skips", [])}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="fail if a row is lower than the baseline")
    arguments = parser.parse_args()
    result = card()
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        for row in result["rows"]:
            print(f"{row['row']:>2}  {row['measure']:<32} {row['points']:>5} of {row['of']:<3} {row['figures']}")
        print(f"    {'sum':<32} {result['points']:>5} of {result['of']}")
        for skip in result["skips"]:
            print(f"    skipped: {skip}")
    if not arguments.check:
        return 0
    baseline = json.loads(BASELINE.read_text())
    compared = result["rows"]
    for name, (numbers, script) in ELSEWHERE.items():
        if not (FOLDER / f"{name}.json").exists():
            said = " and ".join(str(number) for number in numbers)
            print(f"score_card.py: row{'s' * (len(numbers) > 1)} {said} {'are' if len(numbers) > 1 else 'is'} not compared: {script} has left no figures", file=sys.stderr)
            compared = [row for row in compared if row["row"] not in numbers]
    lower = [row for row in compared if row["points"] < baseline.get(str(row["row"]), 0)]
    for row in lower:
        print(f"score_card.py: row {row['row']}, {row['measure']}: {row['points']} points, {baseline[str(row['row'])]} in the baseline", file=sys.stderr)
    return len(lower)


if __name__ == "__main__":
    sys.exit(main())
