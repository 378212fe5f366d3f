"""A machine for scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A machine without the tools of a cluster."""
    return Shell(tmp_path)
