"""Wrong versions of the chart, one fault each, and whether the tests in manifests/ notice.

    python mutants.py [--sample N] [--jobs N]

A mutant is a template with one line gone, one condition fixed, one boolean turned, or the values of two neighbouring
keys exchanged. Comments, and lines that only close or open a block, are left alone: without them nothing renders.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Not Helm, here: each mutant has a process of its own, forked from this one.
import pytest

HERE = Path(__file__).parent
TEMPLATES = HERE.parents[1] / "helm" / "order-food" / "templates"
SEED = 20261121

# Mutants that mean the same as the chart; each with the reason.
EQUAL: dict[tuple[str, str], str] = {}


@dataclass(frozen=True)
class Mutant:
    """A template's text with one fault."""

    file: str
    line: int
    kind: str
    was: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}: {self.was.strip()}"


def code_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are neither blank nor part of a comment."""
    in_comment = False
    for number, line in enumerate(text.splitlines()):
        stripped = line.strip()
        opens = stripped.startswith(("{{/*", "{{- /*"))
        if not (in_comment or opens or not stripped or stripped.startswith("#")):
            yield number, line
        in_comment = (in_comment or opens) and "*/" not in stripped


CONDITION = re.compile(r"(\{\{-? *(?:else )?if )(.+?)( *-?\}\})")
KEY = re.compile(r"^( *(?:- )?)([A-Za-z.]+): (.+)$")


def mutations(line: str, following: str) -> Iterator[tuple[str, list[str]]]:
    """Kinds of faults, and the lines that replace this one and the one after it."""
    condition = CONDITION.search(line)
    opens_or_closes = re.match(r"^\s*\{\{-? *(end|else|define|with|range|if)\b[^}]*\}\}\s*$", line)
    if condition:
        yield "always", [CONDITION.sub(r"\1true\3", line, count=1), following]
        yield "never", [CONDITION.sub(r"\1false\3", line, count=1), following]
    if not opens_or_closes:
        yield "gone", [following]
    for was, becomes in (("true", "false"), ("false", "true")):
        if re.search(rf": {was}$", line):
            yield "turned", [re.sub(rf"{was}$", becomes, line), following]
    first, second = KEY.match(line), KEY.match(following)
    if first and second and len(first[1]) == len(second[1]) and first[3] != second[3]:
        yield "exchanged", [f"{first[1]}{first[2]}: {second[3]}", f"{second[1]}{second[2]}: {first[3]}"]


def all_mutants() -> list[Mutant]:
    """Every mutant, in a fixed order."""
    found = []
    for path in sorted([*TEMPLATES.rglob("*.yaml"), *TEMPLATES.rglob("*.tpl")]):
        text, name = path.read_text(), str(path.relative_to(TEMPLATES))
        lines = text.splitlines()
        for number, line in code_lines(text):
            following = lines[number + 1] if number + 1 < len(lines) else ""
            for kind, replacement in mutations(line, following):
                changed = "\n".join([*lines[:number], *replacement, *lines[number + 2:]]) + "\n"
                if (name, f"{kind}: {line.strip()}") not in EQUAL:
                    found.append(Mutant(name, number + 1, kind, line, changed))
    return found


def sample(size: int) -> list[Mutant]:
    """The same mutants each time, as long as the templates are the same."""
    every = all_mutants()
    return sorted(random.Random(SEED).sample(every, min(size, len(every))), key=str)


def survives(mutant: Mutant) -> bool:
    """Whether no test notices."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder) / "order-food"
        shutil.copytree(TEMPLATES.parent, chart)
        (chart / "templates" / mutant.file).write_text(mutant.text)
        (chart / "values.schema.json").unlink()
        os.environ["ORDER_FOOD_CHART"] = str(chart)
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            code = pytest.main(["-x", "-q", "--no-header", "--tb=no", "--assert=plain", "-m", "not schema", "-c", str(HERE / "pytest.ini"), "--rootdir", str(HERE), str(HERE / "manifests")])
        if code not in (0, 1):
            raise RuntimeError(f"{mutant}: the tests did not run: {quiet.getvalue()[-500:]}")
        return code == 0


def survivors(mutants: list[Mutant], jobs: int) -> list[Mutant]:
    """Those that no test notices."""
    # One process for each mutant: what Helm has loaded stays loaded.
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        alive = pool.map(survives, mutants, chunksize=1)
    return [mutant for mutant, lives in zip(mutants, alive) if lives]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="as many as this, always the same; by default all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    mutants = sample(arguments.sample) if arguments.sample else all_mutants()
    alive = survivors(mutants, arguments.jobs)
    if arguments.json:
        print(json.dumps({"mutants": len(mutants), "survivors": [str(m) for m in alive]}))
    else:
        print(*alive, sep="\n")
        print(f"{len(mutants) - len(alive)} of {len(mutants)} mutants killed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
