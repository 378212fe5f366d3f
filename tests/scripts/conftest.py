"""A machine for scripts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from shell import REPOSITORY, Shell

# Where tests of containers have what is needed here, too.
sys.path.insert(0, str(REPOSITORY / "tests/containers"))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A machine without the tools of a cluster."""
    return Shell(tmp_path)
