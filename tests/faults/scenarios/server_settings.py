"""Settings of PostgreSQL under which it does not keep what the programs promise."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

from client import Connection
from harness import Run, Shop, scenario
from machine import Api, get, until
from replication import Server


@scenario(27, "settings that void a promise", engine=Server)
async def settings_of_the_server(run: Run) -> None:
    # What is written at leisure is written late.
    async with run.shop(server={"wal_writer_delay": "10s"}) as shop:
        run.expect(not await warnings(shop.apis[0]), "/health warns of a server with durable settings")
        for _ in range(run.times(1, 5)):
            await commits_at_leisure(run, shop)
        for isolation in ("serializable", "repeatable read"):
            await stricter_transactions(run, shop, isolation)
        await shop.apis.pop().stop()
        await reading_only(run, shop)
        await nothing_is_durable(run, shop)


async def set_for_database(shop: Shop, setting: str, value: str | None) -> None:
    """A setting of the database for sessions to come, or none any more."""
    change = f"set {setting} = '{value}'" if value else f"reset {setting}"
    # Also where transactions only read unless they are told otherwise.
    await shop.database.sql(f"begin read write; alter database postgres {change}; commit")


async def again(api: Api) -> None:
    """Starts an API anew, so that its sessions are."""
    if api.is_running:
        await api.stop()
    await api.start()


async def warnings(api: Api) -> list[str]:
    """What /health warns of."""
    _, body = await get(api.port, "/health")
    return json.loads(body)["database"].get("warnings", [])


async def commits_at_leisure(run: Run, shop: Shop) -> None:
    """The server crashes right after answers."""
    await set_for_database(shop, "synchronous_commit", "off")
    [api] = shop.apis
    await again(api)
    async with shop.record().ordering(8, think=0.01) as record:
        await until(lambda: len(record.acknowledged) >= 50, 10, "orders are placed")
        await shop.database.kill()
        run.faults["crashes with synchronous_commit=off"] += 1
        await shop.database.start()
    await set_for_database(shop, "synchronous_commit", None)


async def stricter_transactions(run: Run, shop: Shop, isolation: str) -> None:
    """Two APIs that take orders with one counter do not fail one another."""
    await set_for_database(shop, "default_transaction_isolation", isolation)
    if len(shop.apis) < 2:
        await shop.add_api(start=False)
    await asyncio.gather(*map(again, shop.apis))
    record = shop.record()
    record.codes = ("LIMITED", "PLENTY")
    connections = [Connection(record.ports[number % 2]) for number in range(40)]
    for _ in range(run.times(6, 60)):
        await asyncio.gather(*(record.converge(connection, record.new_order()) for connection in connections))
        run.faults[f"rounds of 40 orders, {isolation}"] += 1
    for connection in connections:
        connection.close()
    refusals = {(each.status, each.reason) for each in record.attempts() if each.status != 200}
    run.expect(refusals <= {(422, "coupon_limit_reached")}, f"{isolation}: {refusals}")
    await set_for_database(shop, "default_transaction_isolation", None)


async def reading_only(run: Run, shop: Shop) -> None:
    """A primary whose sessions only read unless they are told otherwise is not to be written to."""
    await set_for_database(shop, "default_transaction_read_only", "on")
    [api] = shop.apis
    await again(api)
    run.faults["read-only databases"] = 1
    record = shop.record()
    connection, order = Connection(api.port), record.new_order()
    for _ in range(run.times(4, 50)):
        told = await record.attempt(connection, order)
        run.expect((told.status, told.reason) == (503, "database_unavailable"), f"read-only: {told.status} {told.reason}")
        await asyncio.sleep(0.2)
    status, body = await get(api.port, "/health")
    health = json.loads(body)["database"]["status"]
    run.expect((status, health) == (200, "read-only"), f"read-only: /health says {status} {health}")
    await set_for_database(shop, "default_transaction_read_only", None)
    writable = time.monotonic()
    # Without a new start: sessions that only read are not kept.
    await record.converge(connection, order, 10)
    run.recovered(time.monotonic() - writable, 5.0)
    connection.close()


async def nothing_is_durable(run: Run, shop: Shop) -> None:
    """Settings that only an administrator makes, and that no session can take back, are named."""
    [api] = shop.apis
    settings = ("fsync", "full_page_writes")
    await shop.database.configure(**dict.fromkeys(settings, "off"))
    logged = len(api.lines())
    await again(api)
    run.faults["settings that lose data"] = len(settings)
    warned = [json.dumps(line) for line in api.lines()[logged:] if line.get("level") == "WARN"]
    # After its first look at the database.
    with contextlib.suppress(AssertionError):
        await until(lambda: warnings(api), 2, "/health warns")
    shown = await warnings(api)
    for setting in settings:
        run.expect(any(setting in text for text in shown), f"{setting}=off: /health warns of {shown}")
        run.expect(any(setting in line for line in warned), f"{setting}=off: the log does not warn of it at the start")
