"""The runbooks, taken apart."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

RUNBOOKS = Path(__file__).parents[2] / "docs/runbooks"


def pages() -> list[Path]:
    """The pages of alerts."""
    return sorted(page for page in RUNBOOKS.glob("*.md") if page.name != "README.md")


def sections(text: str) -> dict[str, str]:
    """The text of each section."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def commands(text: str) -> list[str]:
    """What is to be typed: every line of the blocks for a shell."""
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)
    return [line for _, block in blocks for line in textwrap.dedent(block).splitlines() if line.strip()]
