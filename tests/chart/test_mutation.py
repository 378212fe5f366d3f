"""Whether the tests in manifests/ notice when a template is wrong. In a process of its own, which has no Helm yet."""

import json
import os
import subprocess
import sys
from pathlib import Path

from figures import record

HERE = Path(__file__).parent
SAMPLE = 60


def test_wrong_templates_turn_a_test_red():
    command = [sys.executable, HERE / "mutants.py", "--sample", str(SAMPLE), "--json"]
    run = subprocess.run(command, cwd=HERE, env=os.environ, capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    outcome = json.loads(run.stdout)
    alive = outcome["survivors"]
    record(mutants=outcome["mutants"], mutants_killed=outcome["mutants"] - len(alive), mutants_alive=alive)
    assert outcome["mutants"] == SAMPLE
    assert (SAMPLE - len(alive)) / SAMPLE >= 0.95, alive
