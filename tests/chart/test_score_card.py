"""The score card fails where a row has fewer points than it had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BASELINE = json.loads((HERE / "score_baseline.json").read_text())
# As good as the baseline, for the rows that scripts/test-containers.sh measures.
IMAGE = {"mb": 1, "non_root": True, "same_id_twice": True, "sbom": True, "no_shell": True}
RUNTIME = {
    "smoke": {"steps": {"order": True}, "failed_requests": 0, "api_stop_seconds": 1, "job_stop_seconds": 0},
    "images": dict.fromkeys(("order-food", "database-migration", "database-load"), IMAGE),
}


def check(folder: Path) -> list[str]:
    """What --check says, with the figures in this folder."""
    run = subprocess.run(
        [sys.executable, HERE / "score_card.py", "--check"], env={**os.environ, "ORDER_FOOD_SCORES": str(folder)}, capture_output=True, text=True, check=False
    )
    assert bool(run.returncode) is ("in the baseline" in run.stderr), run.stderr
    return run.stderr.splitlines()


def test_every_row_that_is_measured_is_in_the_baseline():
    assert BASELINE.keys() == {str(row) for row in range(1, 13)}


@pytest.mark.parametrize(("broken", "row"), [("smoke", 11), ("images", 12)])
def test_a_worse_pod_or_image_is_noticed(broken, row, tmp_path):
    (tmp_path / "runtime.json").write_text(json.dumps(RUNTIME))
    assert not [line for line in check(tmp_path) if f"row {row}," in line]
    worse = {"smoke": {**RUNTIME["smoke"], "failed_requests": 1}, "images": {}}
    (tmp_path / "runtime.json").write_text(json.dumps({**RUNTIME, broken: worse[broken]}))
    assert [line for line in check(tmp_path) if f"row {row}," in line]


@pytest.mark.parametrize(("name", "row", "good", "worse"), [
    ("alerts", 8, {"alerts": {"rules": 35, "complete": 35}}, {"alerts": {"rules": 35, "complete": 34}}),
    ("operations", 9, {"dashboard_queries": 60, "dashboard_queries_backed": 60}, {"dashboard_queries": 60, "dashboard_queries_backed": 59}),
])
def test_an_incomplete_alert_or_a_dead_query_is_noticed(name, row, good, worse, tmp_path):
    assert [line for line in check(tmp_path) if f"row {row} is not compared" in line]
    (tmp_path / f"{name}.json").write_text(json.dumps(good))
    assert not [line for line in check(tmp_path) if f"row {row}" in line]
    (tmp_path / f"{name}.json").write_text(json.dumps(worse))
    assert [line for line in check(tmp_path) if f"row {row}," in line]


def test_pods_and_images_that_nobody_measured_are_said(tmp_path):
    lines = check(tmp_path)
    assert "score_card.py: rows 11 and 12 are not compared: scripts/test-containers.sh has left no figures" in lines
    assert not [line for line in lines if "row 11," in line or "row 12," in line]
    assert [line for line in lines if "row 1," in line]
