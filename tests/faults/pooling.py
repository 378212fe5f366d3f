"""PgBouncer in front of a server."""

from __future__ import annotations

import subprocess
from pathlib import Path

from machine import Postgres, as_postgres, free_port, until


class PgBouncer:
    """Always on the same port, with its defaults but for what it is given."""

    def __init__(self, folder: Path, server: Postgres) -> None:
        self.folder, self.server, self.port = folder / "pgbouncer", server, free_port()
        self.folder.mkdir()
        self.as_owner = as_postgres(self.folder)
        self.url = server.url_through(self.port)
        self.process: subprocess.Popen | None = None

    def _write(self, settings: dict[str, object]) -> Path:
        users = self.folder / "users.txt"
        users.write_text('"postgres" ""\n')
        own = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "auth_type": "trust", "auth_file": users}
        lines = [f"{name} = {value}" for name, value in {**own, **settings}.items()]
        file = self.folder / "pgbouncer.ini"
        database = f"postgres = host=127.0.0.1 port={self.server.port}"
        file.write_text("\n".join(["[databases]", database, "[pgbouncer]", *lines]) + "\n")
        return file

    async def start(self, **settings: object) -> None:
        """Starts it with these settings, in place of one that runs already."""
        self.close()
        file, log = self._write(settings), self.folder / "pgbouncer.log"
        with log.open("ab") as output:
            command = [*self.as_owner, "/usr/sbin/pgbouncer", str(file)]
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

        def listens() -> bool:
            assert self.process.poll() is None, log.read_text()
            command = [self.server.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            return subprocess.run(command, check=False).returncode == 0

        await until(listens, 10, "PgBouncer listens")

    def close(self) -> None:
        """Ends it, and all connections through it."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
