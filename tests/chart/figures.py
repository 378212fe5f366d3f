"""Figures that tests measure, kept for the score card."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

FOLDER = Path(os.environ.get("ORDER_FOOD_SCORES", Path(__file__).resolve().parents[2] / "target" / "score-card"))
FILE = FOLDER / "chart.json"


def record(**values: object) -> None:
    """Adds figures to those of this run."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FILE.open("a+") as file:
        # Parts of the tests run beside each other.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = json.loads(file.read() or "{}")
        file.truncate(0)
        file.write(json.dumps({**known, **values}, indent=2, sort_keys=True) + "\n")
