"""What goes wrong, for real: each of these makes alerts fire. The shop has a database of its own on a test server."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from stack import PROGRAMS, Api, Stack, wait_until

# Clients at once.
CLIENTS = 16


class Shop:
    """A process of the API with its database."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.server = os.environ["TEST_POSTGRES_URL"]
        self.name = f"{name}_{uuid.uuid4().hex[:8]}"
        self.sql(f"create database {self.name}", "postgres")
        self.database = urlunsplit(urlsplit(self.server)._replace(path=f"/{self.name}"))
        self.run("database-migration")
        self.run("database-load")
        self.api = Api(folder, name, self.database)

    def run(self, program: str, *arguments: str, **settings: object) -> str:
        """What a program says."""
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": self.database} | {key: str(value) for key, value in settings.items()}
        done = subprocess.run([PROGRAMS / program, *arguments], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sql(self, statement: str, database: str | None = None) -> str:
        """What psql says to a statement."""
        url = urlunsplit(urlsplit(self.server)._replace(path=f"/{database or self.name}"))
        psql = Path(os.environ["TEST_POSTGRES_BIN"], "psql")
        done = subprocess.run([psql, "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lose_database(self) -> None:
        """Nobody may connect any more, and who is connected is thrown out."""
        self.sql(f"alter database {self.name} allow_connections false", "postgres")
        self.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{self.name}'", "postgres")

    def get_database_back(self) -> None:
        self.sql(f"alter database {self.name} allow_connections true", "postgres")

    def close(self) -> None:
        self.api.stop()
        self.get_database_back()
        self.sql(f"drop database {self.name} with (force)", "postgres")


@contextmanager
def repeated(work: Callable[[], object], clients: int = CLIENTS, pause: float = 0) -> Iterator[None]:
    """Does it again and again meanwhile, by several clients; ends after two minutes in any case."""
    deadline = time.monotonic() + 120
    stopped = threading.Event()

    def client() -> None:
        while time.monotonic() < deadline and not stopped.wait(pause):
            try:
                work()
            except OSError:
                pass  # ok: what answers is what the fault is about

    threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join(30)


@contextmanager
def panics(stack: Stack, shop: Shop) -> Iterator[None]:
    """A bug that a request runs into."""
    key = shop.run("order-food", "keys", "create", "--client", "tester", "--scopes", "admin").split()[-1]
    with repeated(lambda: shop.api.ask("GET", "/panic", key=key), 1, 0.1):
        yield


@contextmanager
def wrong_codes(stack: Stack, shop: Shop) -> Iterator[None]:
    """A campaign with a misprinted code."""
    with repeated(lambda: shop.api.order(couponCode="SAVE1O"), 1, 0.02):
        yield


@contextmanager
def locked_orders(stack: Stack, shop: Shop) -> Iterator[None]:
    """Somebody holds the table of orders, most of the time, while customers order and look."""

    def hold() -> None:
        shop.sql("begin; lock table orders in access exclusive mode; select pg_sleep(0.8); commit")

    with repeated(hold, 1, 0.05), repeated(shop.api.order), repeated(lambda: shop.api.ask("GET", "/api/order")):
        yield


@contextmanager
def no_database(stack: Stack, shop: Shop) -> Iterator[None]:
    """The database is gone, and customers go on ordering."""
    shop.lose_database()
    try:
        with repeated(shop.api.order, 4, 0.02):
            yield
    finally:
        shop.get_database_back()


@contextmanager
def no_standby(stack: Stack, shop: Shop) -> Iterator[None]:
    """Commits wait for a standby that is gone, and customers go on ordering. What sets it commits nothing itself."""
    shop.sql("alter system set synchronous_standby_names = 'gone'", "postgres")
    shop.sql("select pg_reload_conf()", "postgres")
    try:
        with repeated(shop.api.order, 4, 0.02):
            yield
    finally:
        shop.sql("alter system reset synchronous_standby_names", "postgres")
        shop.sql("select pg_reload_conf()", "postgres")


@contextmanager
def endless_names(stack: Stack, shop: Shop) -> Iterator[None]:
    """Somebody wrote past the loader: what is in memory grows, with neither more requests nor more data to count."""
    shop.sql("""
        insert into products (id, name, category, price_cents, source, created_at, updated_at)
        select id, 'Dish ' || id || repeat('.', 400000), 'Dish', 100, 'api', 0, 0 from generate_series(1001, 1500) id;
        update change_counters set menu = menu + 1
    """)
    try:
        yield
    finally:
        # A process that starts later reads no such menu.
        shop.sql("delete from products where source = 'api'; update change_counters set menu = menu + 1")


@contextmanager
def flood(stack: Stack, shop: Shop) -> Iterator[None]:
    """Far more requests than usual, sent without waiting for answers."""
    host = b"\r\nHost: shop\r\n"
    requests = (b"GET /api/product/1 HTTP/1.1" + host + b"\r\n") * 10_000
    last = b"GET /api/product/1 HTTP/1.1" + host + b"Connection: close\r\n\r\n"

    def client() -> None:
        with socket.create_connection(("127.0.0.1", shop.api.port), timeout=10) as connection:
            sender = threading.Thread(target=connection.sendall, args=(requests + last,))
            sender.start()
            while connection.recv(1 << 20):
                pass
            sender.join()

    with repeated(client, 4):
        yield


@contextmanager
def one_dead(stack: Stack, shop: Shop) -> Iterator[None]:
    """One of two processes of the API dies; the other one serves."""
    other = Api(shop.folder, "other", shop.database)
    try:
        stack.scrape(shop.api, other)
        wait_until(lambda: len(stack.query('up{job="order-food"} == 1')) == 2, 20, "Prometheus scrapes both")
        other.running.kill()
        yield
    finally:
        other.stop()
        stack.scrape(shop.api)


@contextmanager
def dead(stack: Stack, shop: Shop) -> Iterator[None]:
    """No process of the API is left."""
    shop.api.running.kill()
    yield


# Each fault with the alerts that it makes fire. The last one leaves nothing to go on with.
FAULTS: list[tuple[Callable, set[str]]] = [
    (panics, {"PanicsCaught", "ErrorLogRate"}),
    (wrong_codes, {"CouponRejectionSpike"}),
    (locked_orders, {"OrderQueueSaturated", "DatabasePoolSaturated", "OrderLatencyBudgetBurnFast", "OrderLatencyBudgetBurnSlow"}),
    (no_database, {"DatabaseDown", "HighErrorRate", "OrdersAbsent", "OrderErrorBudgetBurnFast", "OrderErrorBudgetBurnSlow", "MenuStale"}),
    (no_standby, {"OrdersNotReplicated"}),
    (endless_names, {"HighMemory"}),
    (flood, {"HighCpu"}),
    (one_dead, {"ReplicaDown"}),
    (dead, {"ApiDown"}),
]
