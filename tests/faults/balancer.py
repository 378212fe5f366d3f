"""HAProxy in front of several servers: one address that leads to one of them, and elsewhere as soon as it is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from daemon import Daemon
from machine import free_port, until

# A server that takes no connections ends the client's at once; health checks are for those who do not say where to go.
CONFIGURATION = """
global
  stats socket {folder}/admin.sock level admin
  maxconn 1000
defaults
  mode tcp
  retries 0
  timeout connect 2s
  timeout client 1h
  timeout server 1h
listen database
  bind 127.0.0.1:{port}
  {servers}
"""


class HaProxy(Daemon):
    """By its administrator's socket it is told where to lead, from one moment to the next."""

    def __init__(self, folder: Path, servers: dict[str, int]) -> None:
        super().__init__(folder, "haproxy")
        self.servers, self.port = servers, free_port()
        self.file = self.folder / "haproxy.cfg"
        lines = "\n  ".join(f"server {name} 127.0.0.1:{port} disabled" for name, port in servers.items())
        self.file.write_text(CONFIGURATION.format(folder=self.folder, port=self.port, servers=lines))

    async def start(self) -> None:
        """Starts it; it leads nowhere yet."""
        self.spawn("/usr/sbin/haproxy", "-db", "-f", self.file)

        async def answers() -> bool:
            self.assert_running()
            try:
                return bool(await self.tell("show info"))
            except OSError:
                return False

        await until(answers, 10, "HAProxy answers")

    async def tell(self, *commands: str) -> str:
        """Commands of an administrator; what it says to them."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "admin.sock"))
        try:
            writer.write(("; ".join(commands) + "\n").encode())
            return (await asyncio.wait_for(reader.read(), 5)).decode()
        finally:
            writer.close()

    async def lead_to(self, name: str, cut: bool = True) -> None:
        """New connections go to this server; those to others end, or stay."""
        others = [other for other in self.servers if other != name]
        commands = [f"set server database/{other} state maint" for other in others]
        commands.append(f"set server database/{name} state ready")
        if cut:
            commands += [f"shutdown sessions server database/{other}" for other in others]
        said = (await self.tell(*commands)).strip()
        assert not said, f"HAProxy: {said}"
