"""A program in front of a database server."""

from __future__ import annotations

import subprocess
from pathlib import Path

from machine import as_postgres


class Daemon:
    """Runs in a folder of its own, as the user that owns it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.log = folder / name, folder / name / f"{name}.log"
        self.folder.mkdir()
        self.as_owner = as_postgres(self.folder)
        self.process: subprocess.Popen | None = None

    def spawn(self, *command: object) -> None:
        """Starts the program."""
        with self.log.open("ab") as log:
            words = [*self.as_owner, *map(str, command)]
            self.process = subprocess.Popen(words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def assert_running(self) -> None:
        """Fails with the log if the program has ended."""
        assert self.process.poll() is None, self.log.read_text()

    def close(self) -> None:
        """Ends it, and all connections through it."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
