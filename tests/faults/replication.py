"""A PostgreSQL primary and its standby, behind an address that moves from one to the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

from balancer import HaProxy
from machine import Postgres, until

# What a server has that may be primary or standby, so that a test does not wait for the next of its attempts.
REPLICATED = {"wal_retrieve_retry_interval": "100ms", "wal_keep_size": "1GB"}


class Server(Postgres):
    """One of the two."""

    async def follow(self, primary: Server, application_name: str = "standby") -> None:
        """Becomes a standby of the other one, with a copy of its data, whatever it was before."""
        self.close()
        shutil.rmtree(self.data, ignore_errors=True)
        copy = await asyncio.create_subprocess_exec(
            *self.as_owner, str(self.bin / "pg_basebackup"), "-D", str(self.data), "-X", "stream", "-c", "fast",
            "--no-sync", "-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres",
            cwd=self.folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            _, err = await copy.communicate()
        except asyncio.CancelledError:
            copy.kill()
            raise
        assert copy.returncode == 0, err.decode()
        (self.data / "standby.signal").touch()
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name={application_name}"
        self.settings["primary_conninfo"] = source
        await self.start()

    async def promote(self) -> None:
        """Becomes a primary, and waits until it is one. A session that waited for it would hold up what is to be replayed."""
        promote = await asyncio.create_subprocess_exec(
            *self.as_owner, str(self.bin / "pg_ctl"), "promote", "--no-wait", "-D", str(self.data),
            cwd=self.folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert await promote.wait() == 0, "pg_ctl promote"
        await until(lambda: self.sql("select 1 where not pg_is_in_recovery()"), 20, "the standby is promoted")

    async def configure(self, **settings: object) -> None:
        """Changes settings of the running server, which a restart keeps."""
        for name, value in settings.items():
            await self.sql(f"alter system set {name} = '{value}'")
        await self.sql("select pg_reload_conf()")
        for name, value in settings.items():
            query = f"select 1 from pg_settings where name = '{name}' and setting = '{value}'"
            await until(lambda query=query: self.sql(query), 5, f"{name} is {value}")

    async def has_standby(self, state: str = "state = 'streaming'", seconds: float = 20) -> None:
        """Waits until a standby has all that was written, and says so."""
        query = f"select 1 from pg_stat_replication where {state} and application_name <> 'pg_basebackup'"
        await until(lambda: self.sql(query), seconds, "a standby streams")

    async def walreceiver(self) -> int | None:
        """The process by which a standby hears of its primary."""
        rows = await self.sql("select pid from pg_stat_wal_receiver where pid is not null")
        return int(rows[0][0]) if rows else None


class Pair:
    """A primary with a standby, as the shop's database: its URL is the address that moves, its SQL goes to the primary."""

    engine = Postgres.engine
    ID, TRUE, MIGRATION_SECONDS = Postgres.ID, Postgres.TRUE, Postgres.MIGRATION_SECONDS

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        settings = {**REPLICATED, **settings}
        # The servers run as a user of their own and must get through.
        folder.chmod(0o755)
        homes = [folder / name for name in ("first", "second")]
        for home in homes:
            home.mkdir()
        self.primary = Server(homes[0], settings)
        self.standby = Server(homes[1], settings, with_data=False)
        self.servers = {"first": self.primary, "second": self.standby}
        self.address = HaProxy(folder, {name: server.port for name, server in self.servers.items()})
        self.port = self.address.port
        self.url = self.url_through(self.port)

    def url_through(self, port: int) -> str:
        """Its URL, by another port for a proxy in front of it."""
        return self.primary.url_through(port)

    def name_of(self, server: Server) -> str:
        """What the balancer calls it."""
        return next(name for name, each in self.servers.items() if each is server)

    async def start(self) -> None:
        """Starts both and the address, which leads to the primary."""
        await self.primary.start()
        await self.standby.follow(self.primary)
        await self.primary.has_standby()
        await self.address.start()
        await self.address.lead_to(self.name_of(self.primary))

    async def synchronous(self, names: str = "*") -> None:
        """From now on commits wait for a standby, or do not, where there are no names."""
        await self.primary.configure(synchronous_standby_names=names)
        if names:
            await self.primary.has_standby("sync_state in ('sync', 'quorum')")

    async def lead_to(self, server: Server, cut: bool = True) -> None:
        """The address leads there from now on, and connections to the other one end, or stay."""
        await self.address.lead_to(self.name_of(server), cut)

    async def fail_over(self) -> None:
        """The standby becomes the primary, and the address leads to it. The other one must be dead."""
        await self.standby.promote()
        self.primary, self.standby = self.standby, self.primary
        await self.lead_to(self.primary)

    async def rebuild(self) -> None:
        """The server that was the primary becomes the standby of the present one."""
        await self.standby.follow(self.primary)
        await self.primary.has_standby()

    @contextlib.asynccontextmanager
    async def cut_off(self) -> object:
        """While inside, nothing that the primary writes reaches the standby; what was sent meanwhile is lost."""
        receiver = await until(self.standby.walreceiver, 10, "the standby listens to its primary")
        os.kill(receiver, signal.SIGSTOP)
        try:
            yield
        finally:
            # It ends before it looks at what has come: the signal waits for it already.
            for number in (signal.SIGTERM, signal.SIGCONT):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(receiver, number)

    async def sql(self, text: str) -> list[list[str]]:
        """Runs SQL on the primary; the rows."""
        return await self.primary.sql(text)

    async def answers(self) -> dict[str, tuple[str, str]]:
        """By idempotency key: the order's id, and a digest of the stored answer."""
        return await self.primary.answers()

    def close(self) -> None:
        """Ends all of it."""
        self.address.close()
        for server in self.servers.values():
            server.close()
