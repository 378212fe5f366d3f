"""Renders the chart: values as JSON on standard input, objects as JSON on standard output.

A program of its own, since Helm's library is in Go, and a process that has started Go cannot fork.
"""

import json
import sys
from pathlib import Path

import yaml
from helm_python.chart import Chart

CHART = Path(__file__).parents[2] / "helm" / "order-food"

files = Chart.load(CHART).render(json.load(sys.stdin), name="order-food", namespace="shop", revision=1, is_install=True)
objects = [
    each for path, text in sorted(files.items()) if not path.endswith("NOTES.txt") for each in yaml.safe_load_all(text) if each
]
json.dump(objects, sys.stdout)
