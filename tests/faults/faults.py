"""Breaks a running shop in all the ways of the table, and checks that nothing is lost."""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from harness import SCENARIOS, Run, carry_out

HEADINGS = ("#", "scenario", "load", "faults", "requests", "acknowledged", "lost", "doubled", "odd 5xx", "recovery", "seconds", "")


def row(run: Run, seconds: float) -> tuple[str, ...]:
    """A line of the table."""
    faults = ", ".join(f"{count} {what}" for what, count in run.faults.items())
    recovery = f"{max(run.recoveries):.2f} s" if run.recoveries else "-"
    verdict = "FAILED" if run.failures else "ok"
    counts = (run.requests, run.acknowledged, run.lost, run.doubled, run.unexpected)
    return (str(run.scenario.number), run.scenario.name, run.load, faults, *map(str, counts), recovery, f"{seconds:.0f}", verdict)


def folder(text: str) -> Path:
    """A folder with programs, by a path that holds in every folder: they are started in others."""
    path = Path(text).resolve()
    if not (path / "order-food").is_file():
        raise argparse.ArgumentTypeError(f"{path} has no program order-food")
    return path


def main() -> int:
    """Runs what was asked for; 0 if all of it held."""
    parser = argparse.ArgumentParser(prog="scripts/test-faults.sh", description=__doc__)
    parser.add_argument("--long", action="store_true", help="the full number of rounds, and the soak")
    parser.add_argument("--only", help="these rows, e.g. 2,3,17")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000, help="of all that is random")
    parser.add_argument("--programs", type=folder, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--dynamic-programs", type=folder, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--previous", type=folder, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--soak-minutes", type=int, default=30, help="of row 18")
    parser.add_argument("--json", type=Path, help="where the results are written, too")
    parser.add_argument("--keep", action="store_true", help="keep logs and records, also where all went well")
    arguments = parser.parse_args()
    for module in sorted((Path(__file__).parent / "scenarios").glob("[a-z]*.py")):
        importlib.import_module(f"scenarios.{module.stem}")
    SCENARIOS.sort(key=lambda each: each.number)
    wanted = {int(number) for number in arguments.only.split(",")} if arguments.only else None
    chosen = [each for each in SCENARIOS if wanted is None or each.number in wanted]
    left_out = [] if arguments.long else [each for each in chosen if each.is_long_only]
    chosen = [each for each in chosen if each not in left_out]
    logs = Path(tempfile.mkdtemp(prefix="order-food-faults."))
    # PostgreSQL runs as a user of its own and must get through.
    logs.chmod(0o755)
    print(f"seed {arguments.seed}, {'long' if arguments.long else 'short'} form, logs in {logs}", flush=True)
    results, rows = [], [HEADINGS]
    # To look through all that clients have written down takes a tenth of a second, in which they would stand still.
    gc.disable()
    for each in chosen:
        gc.collect()
        programs = (arguments.programs, arguments.dynamic_programs, arguments.previous)
        run = Run(each, *programs, arguments.long, arguments.seed, logs, arguments.soak_minutes)
        seconds = asyncio.run(carry_out(run))
        rows.append(row(run, seconds))
        print(" | ".join(cell for cell in rows[-1] if cell), flush=True)
        figures = {name: round(value, 3) if isinstance(value, float) else value for name, value in run.figures.items()}
        if figures:
            print("    " + ", ".join(f"{name} {value}" for name, value in figures.items()), flush=True)
        for failure in run.failures:
            print(f"    FAILED: {failure}", flush=True)
        results.append(
            {
                "row": each.number,
                "seconds": round(seconds, 1),
                **{"scenario": each.name, "engine": each.engine.engine, "load": run.load, "faults": dict(run.faults)},
                **{name: getattr(run, name) for name in ("requests", "acknowledged", "lost", "doubled")},
                "unexpected_5xx": run.unexpected,
                "recovery_seconds": [round(value, 3) for value in run.recoveries],
                "figures": figures,
                "failures": run.failures,
            }
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    print()
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    for each in left_out:
        print(f"row {each.number}, {each.name}: long form only (--long)")
    failed = sum(bool(result["failures"]) for result in results)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        form = "long" if arguments.long else "short"
        arguments.json.write_text(json.dumps({"seed": arguments.seed, "form": form, "rows": results}, indent=2) + "\n")
    if failed or arguments.keep:
        print(f"logs and records: {logs}")
    else:
        shutil.rmtree(logs)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    # So that all that was started ends, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
