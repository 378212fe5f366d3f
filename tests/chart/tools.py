"""The programs that scripts/test-chart.sh has installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

FOLDER = Path(os.environ["ORDER_FOOD_CHART_TOOLS"])
# Major version, program.
HELM = {"3": FOLDER / "layers" / "v30" / "helm" / "helm", "4": FOLDER / "layers" / "v35" / "helm" / "helm"}
KUBECTL = {"1.30": FOLDER / "layers" / "v30" / "kubectl" / "kubectl", "1.35": FOLDER / "layers" / "v35" / "kubectl" / "kubectl"}
CHECKOV = FOLDER / "venv-checkov" / "bin" / "checkov"


def run(*command: object, text: str | None = None, home: Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program that finds no cluster and no settings but those it is given."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": "/dev/null", "LC_ALL": "C.UTF-8"}
    return subprocess.run([str(part) for part in command], input=text, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
