"""Keeps what is said about values in step: values.yaml says it, README.md and values.schema.json repeat it.

    python docs.py            write the README's table and the schema's descriptions
    python docs.py --check    fail if they are not what they would be
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHART = Path(__file__).resolve().parents[2] / "helm" / "order-food"
PARAMETER = re.compile(r"^\s*## @param (?P<path>\S+) (?:\[[^\]]*\] )?(?P<text>.+)$", re.MULTILINE)


def parameters(values: str) -> dict[str, str]:
    """What values.yaml says about each of its values."""
    return {match["path"]: match["text"] for match in PARAMETER.finditer(values)}


def described(schema: dict, texts: dict[str, str]) -> dict:
    """The schema with these descriptions."""
    for path, text in texts.items():
        node = schema
        for part in path.split("."):
            if part not in node.get("properties", {}):
                raise SystemExit(f"docs.py: values.yaml documents {path}, which the schema does not know")
            node = node["properties"][part]
        node["description"] = text
    return schema


def write(folder: Path) -> None:
    """Brings README.md and values.schema.json of a chart up to date."""
    schema_file = folder / "values.schema.json"
    texts = parameters((folder / "values.yaml").read_text())
    schema = described(json.loads(schema_file.read_text()), texts)
    schema_file.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    generator = Path(os.environ["ORDER_FOOD_CHART_TOOLS"]) / "node_modules" / ".bin" / "readme-generator"
    run = subprocess.run([generator, "--values", folder / "values.yaml", "--readme", folder / "README.md"], capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"docs.py: {run.stdout}{run.stderr}")


def stale() -> list[str]:
    """Files that are not what they would be."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "order-food"
        shutil.copytree(CHART, fresh)
        write(fresh)
        return [name for name in ("README.md", "values.schema.json") if (fresh / name).read_text() != (CHART / name).read_text()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        write(CHART)
        return 0
    files = stale()
    if files:
        print(f"docs.py: {', '.join(files)} must be written anew: scripts/test-chart.sh --docs", file=sys.stderr)
    return len(files)


if __name__ == "__main__":
    sys.exit(main())
