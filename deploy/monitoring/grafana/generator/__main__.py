"""Writes the dashboards: python3 deploy/monitoring/grafana/generator [FOLDER]"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import api
import database
import kubernetes
import loads
import ordering
import slo

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[4] / "helm/order-food/files/dashboards"
folder.mkdir(parents=True, exist_ok=True)
for module in (api, ordering, database, loads, kubernetes, slo):
    (folder / f"{module.__name__}.json").write_text(json.dumps(module.build(), separators=(",", ":"), ensure_ascii=False) + "\n")
