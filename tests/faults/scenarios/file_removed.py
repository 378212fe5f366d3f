"""The file of SQLite is removed, moved or replaced while the API uses it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from client import Connection, Record, head
from harness import Run, Shop, scenario
from machine import Api, Sqlite, get, until


def files(database: Sqlite) -> list[Path]:
    """All files of a database."""
    return sorted(database.file.parent.glob(f"{database.file.name}*"))


def removed(database: Sqlite) -> None:
    """rm order-food.db*"""
    for file in files(database):
        file.unlink()


def log_removed(database: Sqlite) -> None:
    """rm order-food.db-wal"""
    database.file.with_name(f"{database.file.name}-wal").unlink()


def moved(database: Sqlite) -> None:
    """mv order-food.db* elsewhere"""
    away = database.file.parent / "moved"
    away.mkdir()
    for file in files(database):
        file.rename(away / file.name)


def replaced(database: Sqlite) -> None:
    """cp order-food.db another, mv another order-food.db"""
    other = database.file.parent / "another"
    shutil.copy(database.file, other)
    other.rename(database.file)


WAYS: list[tuple[str, Callable[[Sqlite], None]]] = [
    ("removed", removed),
    ("its log removed", log_removed),
    ("moved away", moved),
    ("replaced", replaced),
]


@scenario(28, "the file removed while in use, SQLite", engine=Sqlite)
async def file_removed(run: Run) -> None:
    for _ in range(run.times(1, 5)):
        for how, take_away in WAYS:
            async with run.shop() as shop:
                await without_file(run, shop, how, take_away)
            run.faults[how] += 1


async def without_file(run: Run, shop: Shop, how: str, take_away: Callable[[Sqlite], None]) -> None:
    """No order is acknowledged that is in no file; put back, the file is used again."""
    database, [api] = shop.database, shop.apis
    kept = database.file.parent / "kept"
    kept.mkdir()
    async with shop.ordering(8, think=0.005, once=2) as record:
        await until(lambda: len(record.acknowledged) >= 20, 10, "orders are placed")
        # Other names of the same files: what is put back later on is what the API has open.
        for file in files(database):
            os.link(file, kept / file.name)
        take_away(database)
        gone = time.monotonic()
        await says_so(run, api, how, gone)
        await asyncio.sleep(run.bar(2.5, 0.2))
        # Connections that read have the log open, too: without its name they go on seeing all that was acknowledged.
        readable = {200, 503} if take_away is log_removed else {503}
        connection = Connection(api.port)
        status, _, _ = await connection.send(head("GET", "/api/order?limit=5") + b"\r\n", 5)
        connection.close()
        run.expect(status in readable, f"{how}: the list is answered {status}")
        statuses = await record.found(api.port, 50, 16)
        run.expect(set(statuses) <= readable, f"{how}: orders that were acknowledged are answered {statuses}")
        returning = time.monotonic()
        # New ones may have been made.
        removed(database)
        for file in kept.iterdir():
            file.rename(database.file.with_name(file.name))
        back = time.monotonic()
        if take_away is moved:
            with contextlib.suppress(AssertionError):
                await until(lambda: placed_since(record, back), 3, "orders are placed again")
            run.recovered(placed_since(record, back) or float("inf"), 2.0)
        else:
            # A file that others had in their hands is for an administrator, and a new start, to judge.
            await api.stop()
            await api.start()
    for told in (record, *shop.unkeyed):
        meanwhile = [each for each in told.attempts(gone) if each.end() < returning]
        statuses = {(each.status, each.reason) for each in meanwhile}
        run.expect(
            statuses <= {(503, "database_unavailable"), (503, "outcome_unknown"), (422, "coupon_limit_reached")},
            f"{how}: orders were answered {statuses}",
        )
    [[said]] = await database.sql("pragma integrity_check")
    run.expect(said == "ok", f"{how}: integrity_check: {said}")


def placed_since(record: Record, moment: float) -> float:
    """How long after a moment the first order was placed that came later; 0 if there is none."""
    return min((each.end() - moment for each in record.attempts(moment) if each.status == 200), default=0.0)


async def says_so(run: Run, api: Api, how: str, gone: float) -> None:
    """Within a second it is not ready, and says why."""

    async def is_unready() -> bool:
        return (await get(api.port, "/readyz", 1))[0] == 503

    try:
        await until(is_unready, 1, f"{how}: /readyz is 503")
    except AssertionError as failure:
        run.failures.append(str(failure))
    run.measure("unready after", time.monotonic() - gone)
    _, body = await get(api.port, "/readyz")
    run.expect(b"removed" in body, f"{how}: /readyz does not say what happened: {body!r}")
