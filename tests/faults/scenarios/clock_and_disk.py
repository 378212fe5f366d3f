"""Clocks that jump, and file systems that are full."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from client import Connection, head, post
from harness import Run, Shop, scenario
from machine import Api, Sqlite, get, until
from scenarios.jobs import coupons, menu

HOUR = 3600 * 1_000_000


class Clock:
    """The clock of the programs that get its settings: the machine's, moved by so many hours.

    What is moved is what they read, by libfaketime: the machine's clock belongs to others as well. Waits, deadlines and
    rate limits go by the monotonic clock, which stays as it is.
    """

    def __init__(self, folder: Path) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
        assert library, "libfaketime is missing: scripts/test-faults.sh installs it"
        self.file = folder / "clock"
        self.settings = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": self.file,
            "FAKETIME_NO_CACHE": 1,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
        }
        self.jump(0)

    def jump(self, hours: int) -> None:
        """It is so many hours from the machine's clock from now on."""
        changed = self.file.with_suffix(".changed")
        changed.write_text(f"{hours * 3600:+d}")
        changed.rename(self.file)


# The programs that users run are static, and nothing can come between them and the clock: these are the same, dynamic.
@scenario(15, "clocks jump by an hour")
async def clock_jumps(run: Run) -> None:
    start = datetime.now(timezone.utc)
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    window = (start - timedelta(minutes=30)).strftime(stamp), (start + timedelta(minutes=30)).strftime(stamp)
    async with run.shop(apis=0) as shop:
        (shop.data / "promotions.csv").open("a").write(f"NOWONLY,fixed,1.00,,,,{window[0]},{window[1]},,,true\n")
        load = shop.job("database-load")
        assert await load.run() == 0, load.log.read_text()
        create = shop.job("order-food", "keys", "create", "--client", "short-lived", "--expires-at", window[1])
        assert await create.run() == 0, create.log.read_text()
        short_lived = next(line for line in create.log.read_text().splitlines() if line and not line.startswith(("{", "created")))
        clock = Clock(shop.folder)
        api = await shop.add_api(programs=run.dynamic_programs, **clock.settings)
        connection = Connection(api.port)
        cart = b'{"items":[{"productId":"1","quantity":1}]'

        async def told(api_key: str) -> tuple[str, dict]:
            status, _, text = await connection.send(post(None, cart + b',"couponCode":"NOWONLY"}', api_key), 5)
            answer = json.loads(text)
            return str(answer.get("reason", status)), answer

        async with shop.ordering(8, think=0.01):
            # Back and forth, each from the clock before.
            for hours, reason, key_reason in (
                (0, "200", "200"),
                (1, "coupon_expired", "invalid_api_key"),
                (-1, "coupon_not_started", "coupon_not_started"),
                (0, "200", "200"),
            ) * run.times(1, 5):
                clock.jump(hours)
                run.faults["jumps"] += 1
                found, answer = await told("apitest")
                run.expect(found == reason, f"at {hours:+d} h: {found}, expected {reason}")
                found, _ = await told(short_lived)
                run.expect(found == key_reason, f"at {hours:+d} h, a key that expires: {found}, expected {key_reason}")
                status, _, text = await connection.send(post(f"at-{run.faults['jumps']}", cart + b"}", "apitest"), 5)
                placed = json.loads(text)
                run.expect(status == 200, f"an order at {hours:+d} h: {status}")
                created = datetime.fromisoformat(placed["createdAt"]) - datetime.now(timezone.utc)
                run.expect(abs(created - timedelta(hours=hours)) < timedelta(seconds=5), f"created at {placed['createdAt']}")
                status, _, again = await connection.send(post(f"at-{run.faults['jumps']}", cart + b"}", "apitest"), 5)
                run.expect((status, again) == (200, text), f"sent again at {hours:+d} h: {status}")
                await follows(run, shop, api, clock, 100 + run.faults["jumps"])
                status, _, text = await connection.send(head("GET", "/api/order?limit=100", "apitest") + b"\r\n", 5)
                listed = [order["createdAt"] for order in json.loads(text)] if status == 200 else []
                run.expect(listed and listed == sorted(listed, reverse=True), f"the list: {status}, {listed[:3]}")
                _, text = await get(api.port, "/metrics")
                negative = [line for line in text.decode().splitlines() if not line.startswith("#") and " -" in line]
                run.expect(not negative, f"negative figures: {negative[:3]}")
                status, text = await get(api.port, "/health")
                run.expect(status == 200 and b": -" not in text and b":-" not in text, f"/health: {text!r}")
                said = [line for line in api.lines() if line.get("duration_ms", 0) < 0]
                run.expect(not said, f"negative durations: {said[:1]}")
        await keys_expire(run, shop, api, clock)


async def follows(run: Run, shop: Shop, api: Api, clock: Clock, cents: int) -> None:
    """A menu that is loaded by this clock is served, whatever the clock was when the one before was loaded."""
    (shop.data / "products.csv").write_text(menu(10, cents))
    load = shop.job("database-load", "--only", "products", programs=run.dynamic_programs, **clock.settings)
    run.expect(await load.run() == 0, f"the load: {load.log.read_text()[-300:]}")

    async def is_served() -> bool:
        _, text = await get(api.port, "/api/product")
        return {product["price"] for product in json.loads(text)} == {cents / 100}

    await until(is_served, 2, "the new menu is served")


async def keys_expire(run: Run, shop: Shop, api: Api, clock: Clock) -> None:
    """Idempotency keys are removed when they are a day old by the clock of the API, and not before."""
    now_micros = int(time.time() * 1e6)
    # One becomes older than a day by the jump, one is an hour ahead of a clock that jumped back.
    ages = {"old": 23 * HOUR + HOUR // 2, "ahead": -HOUR, "new": 0}
    connection = Connection(api.port)
    for name, age in ages.items():
        status, _, _ = await connection.send(post(name, b'{"items":[{"productId":"1","quantity":1}]}', "apitest"), 5)
        run.expect(status == 200, f"{name}: {status}")
        await shop.database.sql(f"update idempotency_keys set created_at = {now_micros - age} where key = '{name}'")

    connection.close()

    async def kept() -> set[str]:
        return {row[0] for row in await shop.database.sql("select key from idempotency_keys where key in ('old', 'ahead', 'new')")}

    for hours, expected in ((0, set(ages)), (-1, set(ages)), (1, {"ahead", "new"})):
        clock.jump(hours)
        # It looks for old keys when it starts.
        await api.stop()
        await api.start()

        async def is_so(expected: set[str] = expected) -> bool:
            return await kept() == expected

        if expected == set(ages):
            await asyncio.sleep(1)
        with contextlib.suppress(AssertionError):
            await until(is_so, 5, "old keys are removed")
        run.expect(await is_so(), f"at {hours:+d} h: {await kept()} are kept, expected {expected}")
    clock.jump(0)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system with room for so much."""
    folder.mkdir()
    options = f"size={megabytes}m,mode=777"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    assert done.returncode == 0, f"no small file system: {done.stderr} (needs root)"
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)


def fill(folder: Path, leave_kilobytes: int) -> Path:
    """A file that takes all the room but for so much."""
    usage = subprocess.run(["df", "--output=avail", "-k", folder], capture_output=True, text=True, check=True)
    file = folder / "filler"
    file.write_bytes(bytes(1024 * max(int(usage.stdout.split()[1]) - leave_kilobytes, 0)))
    return file


@scenario(16, "disks full", engine=Sqlite)
async def disks_full(run: Run) -> None:
    with small_disk(run.folder / "database-disk", 64) as disk:
        await full_for_sqlite(run, disk)
    with small_disk(run.folder / "spill-disk", 1) as disk:
        await full_for_spill_files(run, disk)
    with small_disk(run.folder / "log-disk", 4) as disk:
        await full_for_the_log(run, disk)


async def full_for_sqlite(run: Run, disk: Path) -> None:
    """Orders are refused while there is no room, and taken again when there is."""
    async with run.shop(engine=lambda _folder, settings: Sqlite(disk, settings)) as shop:
        [api] = shop.apis
        filler = fill(disk, 3000)
        async with shop.ordering(8) as record:

            def is_refused() -> bool:
                return any(each.status == 503 for each in record.attempts(time.monotonic() - 1))

            await until(is_refused, 30, "the disk is full", 0.2)
            run.faults["full database disk"] += 1
            await asyncio.sleep(run.times(1, 5))
            reads = [(await get(api.port, path))[0] for path in ("/api/product", "/readyz")]
            run.expect(reads == [200, 200], f"with a full disk: {reads}")
            full_until = time.monotonic()
            filler.unlink()
            await asyncio.sleep(1.5)
            run.recovered(record.recovered_after(full_until, 100, 0.5), 2.0)
        reasons = {each.reason for each in record.attempts() if each.status == 503}
        run.expect(reasons <= {"database_unavailable", "outcome_unknown"}, f"{reasons}")
        [[said]] = await shop.database.sql("pragma integrity_check")
        run.expect(said == "ok", f"integrity_check: {said}")
        said = [line for line in api.lines() if "full" in json.dumps(line)]
        run.expect(said, "the log does not say that the disk is full")


async def full_for_spill_files(run: Run, disk: Path) -> None:
    """A load that needs more room than there is says so and changes nothing."""
    async with run.shop(apis=0) as shop:
        coupons(shop.data / "coupons", "C", 400_000)
        query = "select generation, row_count from data_loads where data_set = 'coupons' and published_at is not null"
        before = await shop.database.sql(query)
        job = shop.job("database-load", TMPDIR=disk, MEMORY_BUDGET="32MiB")
        code = await job.run()
        run.faults["full spill disk"] += 1
        run.expect(code == 7, f"exit code {code}: {job.log.read_text()[-300:]}")
        run.expect(await shop.database.sql(query) == before, "the published codes changed")
        run.expect(not list(disk.iterdir()), f"left behind: {list(disk.iterdir())}")
        job = shop.job("database-load", MEMORY_BUDGET="32MiB")
        run.expect(await job.run() == 0, f"with room: {job.log.read_text()[-300:]}")


async def full_for_the_log(run: Run, disk: Path) -> None:
    """Orders do not wait for the log."""
    async with run.shop(apis=0) as shop:
        api = await shop.add_api(start=False)
        api.log = disk / "log"
        filler = fill(disk, 100)
        await api.start()
        async with shop.ordering(8) as record:
            await asyncio.sleep(run.times(1, 10))
            run.faults["full log disk"] += 1
            usage = subprocess.run(["df", "--output=avail", "-k", disk], capture_output=True, text=True, check=True)
            run.expect(usage.stdout.split()[1] == "0", f"the log's disk has {usage.stdout.split()[1]} KiB left")
            refused = [each for each in record.attempts() if each.status not in (200, 422)]
            run.expect(not refused, f"with a full log: {refused[:1]}")
            filler.unlink()
            size = api.log.stat().st_size
            await until(lambda: api.log.stat().st_size > size, 5, "the log goes on")
