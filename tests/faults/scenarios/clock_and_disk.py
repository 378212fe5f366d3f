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

from client import KEY, Connection, head, post
from harness import Run, Shop, scenario
from machine import Sqlite, get, until

HOUR = 3600 * 1_000_000
# Everything that has a time.
TIMES = {
    "orders": ("created_at", "updated_at"),
    "idempotency_keys": ("created_at",),
    "promotions": ("starts_at", "ends_at", "created_at", "updated_at"),
    "promotion_redemptions": ("created_at",),
    "api_keys": ("expires_at", "revoked_at", "last_used_at", "created_at", "updated_at"),
    "products": ("created_at", "updated_at"),
    "data_loads": ("started_at", "published_at"),
}


async def jump(shop: Shop, hours: int) -> None:
    """The programs' clock jumps, seen from what is stored: all of that moves the other way."""
    moves = [
        f"update {table} set " + ", ".join(f"{column} = {column} - {hours * HOUR}" for column in columns)
        for table, columns in TIMES.items()
    ]
    await shop.database.sql(";\n".join([*moves, "update change_counters set promotions = promotions + 1, api_keys = api_keys + 1"]))


# The programs are static and ask the kernel for the time without a call that could be replaced; a jump of the machine's
# clock would hit all that runs on it. What they compare it with can move instead.
@scenario(15, "clocks jump by an hour")
async def clock_jumps(run: Run) -> None:
    now = datetime.now(timezone.utc)
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    window = (now - timedelta(minutes=30)).strftime(stamp), (now + timedelta(minutes=30)).strftime(stamp)
    async with run.shop(apis=0) as shop:
        (shop.data / "promotions.csv").open("a").write(f"NOWONLY,fixed,1.00,,,,{window[0]},{window[1]},,,true\n")
        load = shop.job("database-load")
        assert await load.run() == 0, load.log.read_text()
        create = shop.job("order-food", "keys", "create", "--client", "short-lived", "--expires-at", window[1])
        assert await create.run() == 0, create.log.read_text()
        short_lived = next(line for line in create.log.read_text().splitlines() if line and not line.startswith(("{", "created")))
        api = await shop.add_api()
        connection = Connection(api.port)
        body = b'{"items":[{"productId":"1","quantity":1}],"couponCode":"NOWONLY"}'

        async def told(api_key: str = KEY) -> str:
            status, _, text = await connection.send(post(None, body, api_key), 5)
            return str(json.loads(text).get("reason", status))

        async def becomes(expected: str, api_key: str) -> None:
            async def is_so() -> bool:
                return await told(api_key) == expected

            with contextlib.suppress(AssertionError):
                await until(is_so, 3, expected)
            run.expect((found := await told(api_key)) == expected, f"{found}, expected {expected}")

        other = "apitest"
        await becomes("200", other)
        async with shop.ordering(8, think=0.01):
            for hours, reason, key_reason in ((1, "coupon_expired", "invalid_api_key"), (-2, "coupon_not_started", "coupon_not_started"), (1, "200", "200")):
                await jump(shop, hours)
                run.faults["jumps"] += 1
                await becomes(reason, other)
                await becomes(key_reason, short_lived)
                status, _, text = await connection.send(head("GET", "/api/order?limit=100", other) + b"\r\n", 5)
                run.expect(status == 200 and json.loads(text), f"the list: {status}")
                _, text = await get(api.port, "/metrics")
                negative = [line for line in text.decode().splitlines() if not line.startswith("#") and " -" in line]
                run.expect(not negative, f"negative figures: {negative[:3]}")
                status, text = await get(api.port, "/health")
                run.expect(status == 200 and b": -" not in text and b":-" not in text, f"/health: {text!r}")
        # Two keys of the other client: one becomes older than a day by the jump, one is an hour ahead.
        for name in ("old", "ahead"):
            status, _, _ = await connection.send(post(name, b'{"items":[{"productId":"1","quantity":1}]}', other), 5)
            run.expect(status == 200, f"{name}: {status}")
        now_micros = int(time.time() * 1e6)
        await shop.database.sql(f"update idempotency_keys set created_at = {now_micros} - 23 * {HOUR} - {HOUR} / 2 where key = 'old'")
        await shop.database.sql(f"update idempotency_keys set created_at = {now_micros} + {HOUR} where key = 'ahead'")
        await api.stop()
        await api.start()

        async def kept() -> set[str]:
            return {row[0] for row in await shop.database.sql("select key from idempotency_keys where key in ('old', 'ahead')")}

        await asyncio.sleep(1)
        run.expect(await kept() == {"old", "ahead"}, f"before the jump: {await kept()}")
        await shop.database.sql(f"update idempotency_keys set created_at = created_at - {HOUR}")
        run.faults["jumps"] += 1
        await api.stop()
        await api.start()

        async def is_pruned() -> bool:
            return await kept() == {"ahead"}

        with contextlib.suppress(AssertionError):
            await until(is_pruned, 5, "old keys are removed")
        run.expect(await is_pruned(), f"after the jump: {await kept()}")


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
    async with run.shop(engine=lambda _folder, _connections: Sqlite(disk)) as shop:
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
            run.recovered(record.recovered_after(full_until, 100), 2.0)
        reasons = {each.reason for each in record.attempts() if each.status == 503}
        run.expect(reasons <= {"database_unavailable", "outcome_unknown"}, f"{reasons}")
        [[said]] = await shop.database.sql("pragma integrity_check")
        run.expect(said == "ok", f"integrity_check: {said}")
        said = [line for line in api.lines() if "full" in json.dumps(line)]
        run.expect(said, "the log does not say that the disk is full")


async def full_for_spill_files(run: Run, disk: Path) -> None:
    """A load that needs more room than there is says so and changes nothing."""
    async with run.shop(apis=0) as shop:
        from scenarios.jobs import coupons

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
            refused = [each for each in record.attempts() if each.status not in (200, 422)]
            run.expect(not refused, f"with a full log: {refused[:1]}")
            filler.unlink()
            size = api.log.stat().st_size
            await until(lambda: api.log.stat().st_size > size, 5, "the log goes on")
