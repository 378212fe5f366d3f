"""Figures that tests measure, kept for the score card."""

from __future__ import annotations

import json
import os
from pathlib import Path

FOLDER = Path(os.environ.get("ORDER_FOOD_SCORES", Path(__file__).resolve().parents[2] / "target/score-card"))


def record(**values: object) -> None:
    """Adds figures to those of this run."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "operations.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, **values}, indent=2, sort_keys=True) + "\n")
