"""What a scenario gets: a shop to break, clients that write down what they were told, and a place for what is found."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from client import ADMIN_KEY, KEY, ONCE_KEY, OTHER_KEY, REASONS_503, STATUSES, Connection, Once, Record, post
from load import wrk
from machine import PEPPER, REPOSITORY, SOFT_CHECKPOINTS, Api, Postgres, Process
from proxy import Proxy

LIMITED_USES = 40
PROMOTIONS = f"""code,kind,value,min_items,min_subtotal,max_discount,starts_at,ends_at,max_uses,max_uses_per_client,active
HAPPYHOURS,percentage,18,,,,,,,,true
SAVE10,percentage,10,,,,,,,,true
LIMITED,fixed,1.00,,,,,,{LIMITED_USES},,true
PLENTY,fixed,1.00,,,,,,1000000,,true
"""
# The other client is there for load that nobody writes down.
USERS = f"""client,key,key_hash,scopes
recorder,{KEY},,create_order read_orders
once,{ONCE_KEY},,create_order read_orders
load,{OTHER_KEY},,create_order read_orders
admin,{ADMIN_KEY},,admin
"""


@dataclass
class Scenario:
    """A row of the table."""

    number: int
    name: str
    function: Callable
    engine: type
    is_long_only: bool


SCENARIOS: list[Scenario] = []


def scenario(number: int, name: str, engine: type = Postgres, long_only: bool = False) -> Callable:
    """Adds a row: a coroutine that gets the run."""

    def add(function: Callable) -> Callable:
        SCENARIOS.append(Scenario(number, name, function, engine, long_only))
        return function

    return add


@dataclass
class Run:
    """One scenario while it runs, and what it found."""

    scenario: Scenario
    programs: Path
    # The same, as shared libraries can reach into them.
    dynamic_programs: Path
    previous: Path
    is_long: bool
    seed: int
    folder: Path
    soak_minutes: int = 30
    load: str = ""
    faults: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)
    requests: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    unexpected: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed + self.scenario.number)

    def times(self, short: int, long: int) -> int:
        """How often: in the short form, and in the long one."""
        return long if self.is_long else short

    def bar(self, long: float, short: float) -> float:
        """How much time something may take. The short form has few samples, and not always the machine to itself: it
        tells what is broken from what is slow, and leaves the numbers that are promised to the long form."""
        return long if self.is_long else short

    def expect(self, holds: object, what: str) -> None:
        """Notes what does not hold; the scenario goes on."""
        if not holds:
            self.failures.append(what)

    def measure(self, name: str, value: float, most: float | None = None, unit: str = "s") -> None:
        """Notes the largest value of a figure, which must not exceed `most`."""
        self.figures[name] = round(max(value, self.figures.get(name, value)), 4)
        if most is not None:
            self.expect(value <= most, f"{name}: {value:.3f} {unit}, more than {most} {unit}")

    def recovered(self, seconds: float, most: float) -> None:
        """Notes how long a recovery took."""
        self.recoveries.append(seconds)
        self.expect(seconds <= most, f"recovered after {seconds:.2f} s, not within {most} s")

    def recovers(self, record: Record, moment: float, before: float) -> None:
        """Soon after a moment orders are placed at the full rate, that from before."""
        self.recovered(record.recovered_after(moment, before, self.bar(1, 0.5)), self.bar(2.0, 3.0))

    @contextlib.asynccontextmanager
    async def shop(
        self,
        apis: int = 1,
        engine: type | None = None,
        prepare: bool = True,
        proxied: bool = False,
        is_steady: bool = False,
        server: dict[str, object] | None = None,
        **settings: object,
    ) -> object:
        """A database, its server with these settings, with data and so many APIs on it; what must always hold is checked
        at the end. Where p99 is measured it is steady: its commits wait for little that others have written."""
        server = {**(SOFT_CHECKPOINTS if is_steady else {}), **(server or {})}
        shop = Shop(self, engine or self.scenario.engine, server)
        try:
            await shop.database.start()
            if prepare:
                await shop.prepare()
            if is_steady:
                # What rows before this one have written, and this one until here.
                await asyncio.to_thread(os.sync)
            if proxied:
                shop.proxy = await Proxy(shop.database.port, self.seed).start()
                shop.api_url = shop.database.url_through(shop.proxy.port)
            shop.settings = settings
            for _ in range(apis):
                await shop.add_api()
            yield shop
            await shop.check()
        finally:
            shop.close()
            if shop.proxy:
                await shop.proxy.close()


class Shop:
    """A database, the APIs on it, and the record of its clients."""

    def __init__(self, run: Run, engine: type, server: dict[str, object]) -> None:
        self.run, self.folder = run, Path(tempfile.mkdtemp(dir=run.folder))
        self.database = engine(self.folder, server)
        self.apis: list[Api] = []
        self.records: list[Record] = []
        self.unkeyed: list[Once] = []
        # Of the other client, of whom only sums are known.
        self.loads: list[dict] = []
        # In front of the database, where a scenario asked for one.
        self.proxy: Proxy | None = None
        self.data = self.folder / "data"
        self.data.mkdir()
        for name in ("products.csv", "coupons"):
            source = REPOSITORY / "seed" / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, self.data / name)
        (self.data / "promotions.csv").write_text(PROMOTIONS)
        (self.data / "users.csv").write_text(USERS)
        self.settings: dict[str, object] = {}
        self.api_url = self.database.url

    def job(self, program: str, *arguments: object, programs: Path | None = None, **settings: object) -> Process:
        """A migrator or a loader for this shop."""
        own = {"DATABASE_URL": self.database.url, "DATA_DIR": self.data, "API_KEY_PEPPER": PEPPER, **settings}
        return Process((programs or self.run.programs) / program, own, self.folder, arguments)

    async def prepare(self) -> None:
        """Tables and data."""
        for program in ("database-migration", "database-load"):
            job = self.job(program)
            assert await job.run() == 0, job.log.read_text()

    async def add_api(self, start: bool = True, programs: Path | None = None, **settings: object) -> Api:
        """One more API."""
        settings = {"DATA_DIR": self.data, **self.settings, **settings}
        api = Api(programs or self.run.programs, self.api_url, self.folder, **settings)
        self.apis.append(api)
        if start:
            await api.start()
        return api

    def record(self, ports: list[int] | None = None) -> Record:
        """A new record of clients that go to these ports, by default to all APIs."""
        record = Record(ports or [api.port for api in self.apis], self.run.seed)
        self.records.append(record)
        return record

    @contextlib.asynccontextmanager
    async def ordering(self, clients: int, think: float = 0.0, once: int = 0, ports: list[int] | None = None) -> object:
        """While inside, so many clients order and write down what they are told, and some more who have no keys."""
        self.run.load = self.run.load or f"{clients + once} clients"
        # All those without keys share one record, so that numbers do not come twice.
        unkeyed = self.unkeyed[0] if self.unkeyed else Once(ports or [api.port for api in self.apis], self.run.seed)
        if once and not self.unkeyed:
            self.unkeyed.append(unkeyed)
        async with self.record(ports).ordering(clients, think) as record, unkeyed.ordering(once, think):
            yield record

    async def load(self, seconds: float, connections: int, **how: object) -> dict:
        """Orders by wrk, to the first API; what it was told is compared with the database at the end, too."""
        done = await wrk(self.apis[0].port, seconds, connections, **how)
        self.run.expect(not done["unanswered"], f"{done['unanswered']} requests of the load were not answered")
        self.loads.append({**done, "connections": connections})
        return done

    async def check(self) -> None:
        """What must hold after every run, whatever was broken."""
        run, database = self.run, self.database
        orders = [order for record in self.records for order in record.orders]
        acknowledged = [order for order in orders if order.status == 200]
        attempts = [attempt for record in (*self.records, *self.unkeyed) for attempt in record.ended]
        run.requests += len(attempts)
        run.acknowledged += len(acknowledged)
        unanswered = [order for order in orders if not order.status]
        run.expect(not unanswered, f"{len(unanswered)} orders were never answered for good: {unanswered[:1]}")
        odd = Counter(each.status for each in attempts if each.status not in STATUSES and each.status)
        odd.update(
            f"503 {each.reason}" for each in attempts if each.status == 503 and each.reason not in REASONS_503
        )
        run.unexpected += sum(odd.values())
        run.expect(not odd, f"undocumented answers: {dict(odd)}")
        no_hint = sum(each.status in (409, 429, 503) and "retry-after" not in each.headers for each in attempts)
        run.expect(not no_hint, f"{no_hint} answers 409, 429 or 503 without Retry-After")

        # Each acknowledged order is there under its key, with the very bytes that the client got.
        stored = await database.answers()
        query = f"select {database.ID} from orders where client_id = (select id from api_clients where name = 'recorder')"
        ids = {row[0] for row in await database.sql(query)}
        wrong = self._wrong_rows()
        counts = await asyncio.gather(*(database.sql(query) for query in wrong.values()))
        lost = [
            order.key
            for order in acknowledged
            if order.id not in ids or stored.get(order.key) != (order.id, hashlib.sha256(order.answer).hexdigest())
        ]
        run.lost += len(lost)
        run.expect(not lost, f"{len(lost)} acknowledged orders are not there as they were answered: {lost[:3]}")
        # And nothing else is there: neither a second order for a key, nor one that its client was refused.
        known = {order.id for order in acknowledged}
        open_keys = {order.key for order in orders if not order.status}
        known |= {id for key, (id, _) in stored.items() if key in open_keys}
        extra = ids - known
        run.doubled += len(extra)
        run.expect(not extra, f"{len(extra)} orders that nobody was told of: {sorted(extra)[:3]}")
        for what, [[count]] in zip(wrong, counts, strict=True):
            run.expect(count == "0", f"{count} {what}")
        for record in self.unkeyed:
            await self._look_up(record)
        if self.loads:
            await self._compare_loads()
        await self._replay(acknowledged)
        for secret in (KEY, ONCE_KEY, ADMIN_KEY, PEPPER):
            tellers = [path.name for path in self.folder.glob("*.log") if secret.encode() in path.read_bytes()]
            run.expect(not tellers, f"a secret is in {tellers}")

    async def _look_up(self, record: Once) -> None:
        """Of those without keys each is there that was acknowledged, once, and none that was refused."""
        query = (
            f"select {self.database.ID}, product_id, quantity from orders join order_lines on order_id = id "
            "where client_id = (select id from api_clients where name = 'once')"
        )
        numbers: dict[str, int] = {}
        for id, product, quantity in await self.database.sql(query):
            numbers[id] = numbers.get(id, 0) + (int(quantity) - 1) * 1000 ** (3 - int(product))
        stored: dict[int, list[str]] = {}
        for id, number in numbers.items():
            stored.setdefault(number, []).append(id)
        lost, extra = record.wrong(stored)
        self.run.figures["without keys"] = len(record.orders)
        self.run.acknowledged += len(record.acknowledged)
        self.run.lost += len(lost)
        self.run.doubled += len(extra)
        self.run.expect(not lost, f"{len(lost)} acknowledged orders without keys are not there: {lost[:3]}")
        self.run.expect(not extra, f"{len(extra)} orders without keys are there, or twice: {extra[:3]}")

    async def _compare_loads(self) -> None:
        """As many orders are there as were acknowledged, or not many more: those whose outcome nobody was told."""
        count = "select count(*) from orders where client_id = (select id from api_clients where name = 'load')"
        [[stored]] = await self.database.sql(count)
        told = sum(load["statuses"].get("200", 0) for load in self.loads)
        # At its end wrk leaves a request on each connection.
        untold = sum(load["unknown"] + load["unanswered"] + load["connections"] for load in self.loads)
        self.run.acknowledged += told
        self.run.requests += sum(sum(load["statuses"].values()) for load in self.loads)
        self.run.lost += max(told - int(stored), 0)
        self.run.doubled += max(int(stored) - told - untold, 0)
        self.run.expect(told <= int(stored) <= told + untold, f"{stored} orders of the load, told of {told}, not told of {untold}")

    def _wrong_rows(self) -> dict[str, str]:
        # Each order is unfolded by itself, and its lines once, however many there are.
        lines = (
            "(select sum(quantity * unit_price_cents) || ' - ' || sum(l.discount_cents) from order_lines l where l.order_id = o.id)"
        )
        total = "o.subtotal_cents is null or o.discount_cents is null or o.total_cents is null or o.total_cents < 0"
        counter = "coalesce((select used from limit_counters where name = 'promotion:LIMITED'), 0)"
        # Of one that is used up soon, and of one that never is.
        counts = {
            f"counts of the uses of {code} that differ": f"select count(*) from (select "
            f"coalesce((select used from limit_counters where name = 'promotion:{code}'), 0) as used, "
            f"(select count(*) from promotion_redemptions where promotion_code = '{code}') as redeemed, "
            f"(select count(*) from order_summaries where coupon_code = '{code}') as coded) u "
            "where used <> redeemed or used <> coded"
            for code in ("LIMITED", "PLENTY")
        }
        return {
            "orders without total, or whose subtotal less the discount is not the total": "select count(*) "
            f"from order_summaries o where {total} or o.subtotal_cents - o.discount_cents <> o.total_cents",
            "orders without lines, or whose lines are not the subtotal and the discount": "select count(*) "
            f"from order_summaries o where coalesce({lines}, 'none') <> o.subtotal_cents || ' - ' || o.discount_cents",
            "uses above the limit of a promotion": f"select count(*) from (select {counter} as used) u where used > {LIMITED_USES}",
            **counts,
            "keys without their order": "select count(*) from idempotency_keys k where not exists "
            "(select 1 from orders o where o.id = k.order_id)",
        }

    async def _replay(self, acknowledged: list) -> None:
        """Sends orders again that were placed long ago: the same bytes come back."""
        alive = [api for api in self.apis if api.is_running]
        some = acknowledged if self.run.is_long else self.run.random.sample(acknowledged, min(len(acknowledged), 500))
        if not some:
            return
        if not alive:
            alive = [self.apis[0]]
            await alive[0].start()
        different: list[str] = []

        async def send(part: list, port: int) -> None:
            connection = Connection(port)
            for order in part:
                status, headers, body = await connection.send(post(order.key, order.body), 10)
                is_replay = headers.get("idempotent-replayed") == "true"
                if (status, body, is_replay) != (200, order.answer, True):
                    different.append(f"{order.key}: {status} {body[:200]!r}")
            connection.close()

        await asyncio.gather(*(send(some[at::8], alive[at % len(alive)].port) for at in range(8)))
        self.run.expect(not different, f"{len(different)} keys replay other bytes: {different[:2]}")
        self.run.figures["replayed"] = len(some)

    def close(self) -> None:
        """Ends everything."""
        for api in self.apis:
            if api.is_running:
                api.process.kill()
                api.process.wait()
        self.database.close()
        if self.run.failures:
            path = self.folder / "record.jsonl"
            with path.open("w") as file:
                for order in (order for record in self.records for order in record.orders):
                    attempts = [(each.at, each.seconds, each.status, each.reason) for each in order.attempts]
                    told = {"key": order.key, "body": order.body.decode(), "status": order.status}
                    file.write(json.dumps({**told, "answer": order.answer.decode(), "attempts": attempts}) + "\n")


async def carry_out(run: Run) -> float:
    """Runs a scenario; the seconds it took."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(3600 + 60 * run.soak_minutes if run.is_long else 240):
            await run.scenario.function(run)
    except TimeoutError:
        run.failures.append("did not end in time")
    except Exception as error:  # ok: whatever a scenario dies of is its result
        run.failures.append(f"{type(error).__name__}: {error}")
    return time.monotonic() - started
