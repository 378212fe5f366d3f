"""Scripts run with stand-ins for the tools that need a cluster, which write down how they were called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# What the scripts may use of the machine; the stand-ins are beside them.
REAL = (
    *("awk", "bash", "cat", "curl", "cut", "dirname", "echo", "env", "git", "grep", "head", "make", "mktemp", "mkdir", "rm", "sed"),
    *("sh", "sha256sum", "sleep", "tee", "touch", "true", "uname"),
)
RECORD = """#!/bin/sh
printf "%s" "${0##*/}" >>"$CALLS"
for argument; do printf '\\037%s' "$argument" >>"$CALLS"; done
printf '\\n' >>"$CALLS"
"""


class Shell:
    """Runs scripts where only some tools exist."""

    def __init__(self, folder: Path) -> None:
        self.tools = folder / "tools"
        self.tools.mkdir()
        self._calls = folder / "calls"
        self._calls.touch()
        for name in REAL:
            (self.tools / name).symlink_to(shutil.which(name))
        (self.tools / "python3").symlink_to(sys.executable)

    def stand_in(self, name: str, body: str = "exit 0") -> None:
        """A tool that is recorded, and then does this."""
        file = self.tools / name
        file.write_text(RECORD + body + "\n")
        file.chmod(0o755)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """A command in the repository."""
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env={"PATH": str(self.tools), "HOME": os.environ["HOME"], "CALLS": str(self._calls), **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self, *tools: str) -> list[list[str]]:
        """How these tools were called, in order."""
        lines = self._calls.read_text().splitlines()
        return [call for line in lines if (call := line.split("\037"))[0] in tools]
