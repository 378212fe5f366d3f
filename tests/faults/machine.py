"""The programs, the databases and the proxy that scenarios start, break and start again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PEPPER = "a pepper for the tests of faults"


def free_port() -> int:
    """A port that nobody listens on now; whoever starts again gets the same one again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def until(condition: Callable, seconds: float, what: str, pause: float = 0.02) -> object:
    """What the condition returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        await asyncio.sleep(pause)


async def get(port: int, path: str, seconds: float = 5.0) -> tuple[int, bytes]:
    """A GET on a connection of its own: status and body; status 0 where nobody answers in time."""

    async def ask() -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: faults\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            return int(head.split(b" ", 2)[1]), body
        finally:
            writer.close()

    try:
        return await asyncio.wait_for(ask(), seconds)
    except (OSError, asyncio.TimeoutError, IndexError, ValueError):
        return 0, b""


def children(pid: int) -> list[int]:
    """Its child processes."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def owner_of_port(port: int, pids: list[int]) -> int | None:
    """Which of these processes has a connection from this local port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if int(row[1].rpartition(":")[2], 16) == port}
    for pid in pids:
        with contextlib.suppress(OSError):
            if any(os.readlink(file) in sockets for file in Path(f"/proc/{pid}/fd").iterdir()):
                return pid
    return None


class Process:
    """A program that can be started again and again, with the same settings."""

    def __init__(self, program: Path, settings: dict[str, object], folder: Path, arguments: tuple = ()) -> None:
        self.command = [str(program), *map(str, arguments)]
        self.settings = {name: str(value) for name, value in settings.items()}
        self.name, self.folder = program.name, folder
        self.log = folder / f"{program.name}-{free_port()}.log"
        self.process: subprocess.Popen | None = None
        self.most_files: int | None = None

    def spawn(self) -> None:
        """Starts it, its log added to what is there."""
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(self.folder), "LOG_FORMAT": "json", **self.settings}
        limit = ["prlimit", f"--nofile={self.most_files}"] if self.most_files else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*limit, *self.command], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        """Sends a signal, if it still runs."""
        if self.is_running:
            self.process.send_signal(number)

    async def wait(self, seconds: float = 30) -> int:
        """Waits for its end; its exit code, negative for a signal."""
        await until(lambda: self.process.poll() is not None, seconds, f"{self.name} ends", 0.005)
        return self.process.returncode

    async def kill(self) -> None:
        """kill -9"""
        self.signal(signal.SIGKILL)
        await self.wait()

    def lines(self) -> list[dict]:
        """What it has logged."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def memory_mb(self) -> float:
        """Its resident memory without mapped files."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0]) / 1024

    def most_memory_mb(self) -> float:
        """The most resident memory that it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def files(self) -> int:
        """How many files and connections it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    async def run(self, seconds: float = 120) -> int:
        """Starts it and waits for its end."""
        self.spawn()
        return await self.wait(seconds)


class Api(Process):
    """The API, always on the same port."""

    def __init__(self, programs: Path, url: str, folder: Path, **settings: object) -> None:
        self.port = int(settings.pop("SERVER_PORT", 0)) or free_port()
        own = {"DATABASE_URL": url, "SERVER_PORT": self.port, "API_KEY_PEPPER": PEPPER, **settings}
        super().__init__(programs / "order-food", own, folder)

    async def start(self, seconds: float = 20) -> float:
        """Starts it; how long until it was ready."""
        started = time.monotonic()
        self.spawn()
        await self.ready(seconds)
        return time.monotonic() - started

    async def ready(self, seconds: float = 20) -> None:
        """Waits until it says that it is ready."""

        async def is_ready() -> bool:
            if not self.is_running:
                raise AssertionError(f"the API ended: {self.log.read_text()[-2000:]}")
            return (await get(self.port, "/readyz", 1))[0] == 200

        await until(is_ready, seconds, "the API is ready", 0.005)

    async def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.signal(signal.SIGTERM)
        return await self.wait()

    async def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        _, text = await get(self.port, "/metrics")
        samples = [line for line in text.decode().splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in samples)


# Of a server that was made for a load, where p99 is measured. WAL segments are kept and written over. A checkpoint writes what
# has changed piece by piece and waits for the rest at its end, and commits wait with it, for the disk is the same: the rest is
# what backends gave away since it began, so it is short, and they have the memory to give away little.
SOFT_CHECKPOINTS = {
    "max_wal_size": "16GB", "min_wal_size": "8GB", "shared_buffers": "4GB", "backend_flush_after": "256kB",
    "checkpoint_timeout": "30s", "checkpoint_completion_target": 0.3,
}


def as_postgres(folder: Path) -> list[str]:
    """Gives the folder to the user postgres where this process is root, as whom servers refuse to run. How to become that user."""
    if os.geteuid() != 0:
        return []
    folder.parent.chmod(0o755)
    shutil.chown(folder, "postgres", "postgres")
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]


class Postgres:
    """A durable server of its own, which can be killed, frozen and started again."""

    engine = "PostgreSQL"

    def __init__(self, folder: Path, settings: dict[str, object], with_data: bool = True) -> None:
        self.folder, self.data = folder / "postgres", folder / "postgres/data"
        self.port = free_port()
        defaults = {"listen_addresses": "127.0.0.1", "max_connections": 100, "shared_buffers": "128MB", "max_wal_size": "2GB"}
        self.settings = {**defaults, **settings}
        self.url = self.url_through(self.port)
        candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
        found = shutil.which("initdb") or (candidates and str(candidates[-1]))
        assert found, "PostgreSQL is missing: scripts/test-faults.sh installs it"
        self.bin = Path(found).resolve().parent
        self.folder.mkdir()
        self.as_owner = as_postgres(self.folder)
        if with_data:
            self._call("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        self.process: subprocess.Popen | None = None

    def url_through(self, port: int) -> str:
        """Its URL, by another port for a proxy in front of it."""
        return f"postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable"

    def _call(self, program: str, *arguments: object) -> None:
        command = [*self.as_owner, str(self.bin / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr

    async def start(self) -> None:
        """Starts it and waits until it answers."""
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        command = [*self.as_owner, str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", str(self.folder)]
        deadline = time.monotonic() + 30
        while True:
            with (self.folder / "server.log").open("ab") as log:
                self.process = subprocess.Popen(
                    [*command, *options], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            # The memory of a server that was killed is given back when its last process has noticed.
            while self.process.poll() is None:
                done = subprocess.run(
                    [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
                )
                if done.returncode == 0:
                    return
                assert time.monotonic() < deadline, (self.folder / "server.log").read_text()[-2000:]
                await asyncio.sleep(0.02)
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()[-2000:]
            await asyncio.sleep(0.05)

    def processes(self) -> list[int]:
        """The server and its children."""
        return [self.process.pid, *children(self.process.pid)]

    async def kill(self) -> None:
        """kill -9 to every process of it at once."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    @contextlib.asynccontextmanager
    async def frozen(self) -> object:
        """While inside, none of its processes does anything."""
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """Ends it."""
        if self.process and self.process.poll() is None:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()

    async def sql(self, text: str) -> list[list[str]]:
        """Runs SQL; the rows."""
        psql = await asyncio.create_subprocess_exec(
            str(self.bin / "psql"), "-qAtX", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-c", text, self.url,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        out, err = await psql.communicate()
        assert psql.returncode == 0, f"{text}: {err.decode()}"
        return [line.split("\x1f") for line in out.decode().splitlines()]

    def session(self, sql: str) -> subprocess.Popen:
        """Somebody else's session, which ends when it is killed."""
        # So that the server notices.
        url = f"{self.url}&options=-cclient_connection_check_interval%3D50"
        command = [str(self.bin / "psql"), "-qAtX", "-c", sql, url]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def take_all_connections(self, victims: str) -> list[subprocess.Popen]:
        """Others' sessions, as many as the server allows: those of `victims` are ended until nobody gets in any more."""

        ending = (
            "do $$ begin for round in 1..100 loop perform pg_stat_clear_snapshot(); perform pg_terminate_backend(pid) "
            f"from pg_stat_activity where application_name like '{victims}'; perform pg_sleep(0.02); end loop; end $$; "
            "select pg_sleep(600)"
        )
        others = [self.session(ending)]
        started = time.monotonic()
        while time.monotonic() < started + 3:
            others = [other for other in others if other.poll() is None]
            # One more than there are is refused, and gone by the next look.
            others += [self.session("select pg_sleep(600)") for _ in range(self.settings["max_connections"] + 1 - len(others))]
            await asyncio.sleep(0.1)
        return [other for other in others if other.poll() is None]

    # How long a slow migration takes, or less.
    MIGRATION_SECONDS = 0.3

    async def slow_migrations(self) -> Callable[[], None]:
        """Each step of a migration takes 20 ms more, whether or not what this returns is called."""
        await self.sql(
            "create function slow() returns event_trigger language plpgsql as 'begin perform pg_sleep(0.02); end'; "
            "create event trigger slow on ddl_command_end execute function slow()"
        )
        return lambda: None

    async def at_work(self, jobs: list[Process]) -> Process:
        """Whichever of these jobs has the lock of its kind, as soon as one has."""
        held = f"from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' and granted and application_name like '{jobs[0].name}%'"
        wait = (
            f"do $$ begin for round in 1..30000 loop perform pg_stat_clear_snapshot(); exit when exists (select {held}); "
            f"perform pg_sleep(0.001); end loop; end $$; select client_port {held}"
        )

        async def holder() -> Process | None:
            for [port] in await self.sql(wait):
                pid = owner_of_port(int(port), [job.process.pid for job in jobs if job.is_running])
                return next((job for job in jobs if job.process.pid == pid), None)
            return None

        return await until(holder, 30, f"a {jobs[0].name} is at work", 0)

    async def answers(self) -> dict[str, tuple[str, str]]:
        """By idempotency key: the order's id, and a digest of the stored answer."""
        rows = await self.sql("select key, order_id, encode(sha256(response), 'hex') from idempotency_keys")
        return {key: (order_id, digest) for key, order_id, digest in rows}

    ID, TRUE = "id", "true"


class Sqlite:
    """A file."""

    engine = "SQLite"

    def __init__(self, folder: Path, _settings: dict[str, object]) -> None:
        folder.mkdir(exist_ok=True)
        self.file = folder / "order-food.db"
        self.url = f"sqlite://{self.file}"

    async def start(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""

    def _run(self, text: str) -> list[tuple]:
        connection = sqlite3.connect(self.file, timeout=10, isolation_level=None)
        try:
            # As the driver does: one statement after the other.
            for statement in text.split(";\n")[:-1]:
                connection.execute(statement)
            return connection.execute(text.split(";\n")[-1]).fetchall()
        finally:
            connection.close()

    async def sql(self, text: str) -> list[list[str]]:
        """Runs SQL; the rows."""
        rows = await asyncio.to_thread(self._run, text)
        return [["" if value is None else str(value) for value in row] for row in rows]

    # Mostly of waiting for its next look at whether somebody else writes.
    MIGRATION_SECONDS = 0.05

    async def slow_migrations(self) -> Callable[[], None]:
        """A migration waits, as if somebody else wrote, until what this returns is called."""
        connection = sqlite3.connect(self.file, isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        connection.execute("begin immediate")
        return connection.close

    async def at_work(self, jobs: list[Process]) -> Process:
        """Whichever of these jobs has the lock of its kind, as soon as one has."""

        def holder() -> Process | None:
            locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
            pids = {int(lock[4]) for lock in locks if lock[1] == "FLOCK"}
            return next((job for job in jobs if job.is_running and job.process.pid in pids), None)

        return await until(holder, 30, f"a {jobs[0].name} is at work", 0)

    async def answers(self) -> dict[str, tuple[str, str]]:
        """By idempotency key: the order's id, and a digest of the stored answer."""
        query = "select key, lower(hex(order_id)), response from idempotency_keys"
        return {
            key: ("-".join((id[:8], id[8:12], id[12:16], id[16:20], id[20:])), hashlib.sha256(response).hexdigest())
            for key, id, response in await asyncio.to_thread(self._run, query)
        }

    # Ids are blobs of 16 bytes.
    ID, TRUE = (
        "lower(substr(hex(id),1,8)||'-'||substr(hex(id),9,4)||'-'||substr(hex(id),13,4)||'-'||substr(hex(id),17,4)||'-'||substr(hex(id),21))",
        "1",
    )
