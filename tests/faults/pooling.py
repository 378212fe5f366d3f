"""PgBouncer in front of a server."""

from __future__ import annotations

import subprocess
from pathlib import Path

from daemon import Daemon
from machine import Postgres, free_port, until


class PgBouncer(Daemon):
    """Always on the same port, with its defaults but for what it is given."""

    def __init__(self, folder: Path, server: Postgres) -> None:
        super().__init__(folder, "pgbouncer")
        self.server, self.port = server, free_port()
        self.url = server.url_through(self.port)

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
        self.spawn("/usr/sbin/pgbouncer", self._write(settings))

        def listens() -> bool:
            self.assert_running()
            command = [self.server.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            return subprocess.run(command, check=False).returncode == 0

        await until(listens, 10, "PgBouncer listens")
