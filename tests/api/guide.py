"""docs/api.md as tests use it: its programs, its examples, its table of errors."""

from __future__ import annotations

import re
from dataclasses import dataclass

from server import REPOSITORY

TEXT = (REPOSITORY / "docs" / "api.md").read_text()


def block(language: str) -> str:
    """The only block of code in a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return found


@dataclass
class Example:
    """A command, and what it prints."""

    command: str
    output: str


def examples() -> list[Example]:
    """All of them, in their order."""
    found = []
    for console in re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        for part in console.split("$ ")[1:] if console.startswith("$ ") else []:
            command, _, output = part.partition("\n")
            found.append(Example(command, output.strip()))
    return found


def errors() -> list[tuple[str, str, str]]:
    """Status, reason and advice of each row."""
    return re.findall(r"^\| (\d{3}) \| `(\w+)` \| (.+) \|$", TEXT, re.MULTILINE)
