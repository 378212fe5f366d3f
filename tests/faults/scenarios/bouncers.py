"""PgBouncer between the programs and PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

from client import Connection, post
from harness import Run, Shop, scenario
from machine import Api, get, until
from pooling import PgBouncer

# What changes to which connection of PostgreSQL a transaction goes.
SHARED = [
    # As the releases before this one needed it.
    {"pool_mode": "transaction", "ignore_startup_parameters": "extra_float_digits,options"},
    {"pool_mode": "statement"},
    {"pool_mode": "transaction", "server_round_robin": 1, "min_pool_size": 5},
    {"pool_mode": "transaction", "default_pool_size": 1},
    {"pool_mode": "statement", "server_round_robin": 1, "min_pool_size": 5},
    {"pool_mode": "statement", "default_pool_size": 1},
    {"pool_mode": "transaction"},
]
OWN = [{}, {"server_round_robin": 1, "min_pool_size": 5}, {"default_pool_size": 16}]


KEYS = ("order-food", "keys", "create", "--client", "another")


@scenario(26, "PgBouncer in front")
async def bouncer_in_front(run: Run) -> None:
    with contextlib.ExitStack() as ending:
        async with run.shop(apis=0, prepare=False) as shop:
            bouncer = PgBouncer(shop.folder, shop.database)
            # After the last look at what is stored, which goes through it.
            ending.callback(bouncer.close)
            shop.api_url = bouncer.url
            for settings in OWN[: run.times(2, 3)]:
                await with_own_sessions(run, shop, bouncer, settings)
            for settings in SHARED[: run.times(4, 7)]:
                await with_shared_sessions(run, shop, bouncer, settings)
            for settings in SHARED if run.is_long else [run.random.choice(SHARED)]:
                await taken_and_given_back(run, shop, bouncer, settings)


async def with_own_sessions(run: Run, shop: Shop, bouncer: PgBouncer, settings: dict) -> None:
    """Each client has its session of PostgreSQL to itself, with PgBouncer's defaults otherwise: all programs work."""
    await bouncer.start(pool_mode="session", **settings)
    for program, *arguments in (("database-migration", "up"), ("database-load",), KEYS, ("order-food", "keys", "list")):
        job = shop.job(program, *arguments, DATABASE_URL=bouncer.url)
        code = await job.run()
        run.expect(code == 0, f"{program} {arguments} with {settings}: {code}, {job.log.read_text()[-300:]}")
        if code:
            # So that what comes after it has something to work with.
            await shop.job(program, *arguments).run()
    api = shop.apis[0] if shop.apis else await shop.add_api(start=False)
    if not api.is_running:
        api.spawn()
    await serves(run, shop, api)


async def with_shared_sessions(run: Run, shop: Shop, bouncer: PgBouncer, settings: dict) -> None:
    """A job that would lose its lock between two statements does not begin."""
    await bouncer.start(**settings)
    run.faults["modes that are refused"] += 1
    for program, *arguments in (("database-migration", "up"), ("database-load",), KEYS):
        job = shop.job(program, *arguments, DATABASE_URL=bouncer.url)
        code, said = await job.run(20), job.log.read_text()
        refused = 1 if program == "order-food" else 3
        run.expect(code == refused and "pool_mode" in said, f"{program} {arguments} with {settings}: {code}, {said[-300:]}")


async def taken_and_given_back(run: Run, shop: Shop, bouncer: PgBouncer, settings: dict) -> None:
    """An API takes no orders while sessions are shared, and takes them as soon as it has its own; nothing is told to it."""
    [api] = shop.apis
    # While it runs: what it has in memory is as good as ever, so it stays ready.
    await bouncer.start(**settings)
    shared = time.monotonic()
    async with shop.ordering(4, think=0.01, once=4) as record:
        await asyncio.sleep(run.times(2, 4))
        owned = time.monotonic()
        await bouncer.start(pool_mode="session")
    attempts = [each for told in (record, *shop.unkeyed) for each in told.attempts(shared + 1, owned)]
    placed = sum(each.status == 200 for each in attempts if each.end() < owned)
    run.expect(not placed, f"{placed} of {len(attempts)} orders were acknowledged with {settings}")
    # From its start on.
    await api.stop()
    await bouncer.start(**settings)
    await takes_no_orders(run, api, settings)
    await bouncer.start(pool_mode="session")
    await serves(run, shop, api)


async def serves(run: Run, shop: Shop, api: Api) -> None:
    """Becomes ready, and takes orders."""
    try:
        await api.ready(5)
    except AssertionError as failure:
        run.failures.append(f"behind PgBouncer with sessions of its own: {failure}, {(await get(api.port, '/readyz'))[1]!r}")
        return
    async with shop.ordering(4, think=0.01) as record:
        await asyncio.sleep(run.times(0, 2) + 0.5)
    run.expect(record.acknowledged, "no order was placed behind PgBouncer with sessions of its own")
    odd = {(each.status, each.reason) for each in record.attempts() if each.status not in (200, 422)}
    run.expect(not odd, f"behind PgBouncer with sessions of its own: {odd}")


async def takes_no_orders(run: Run, api: Api, settings: dict) -> None:
    """The API says what is wrong, once, and is not ready."""
    logged = len(api.lines())
    api.spawn()
    started = time.monotonic()

    async def names_it() -> bool:
        status, body = await get(api.port, "/readyz", 1)
        return status == 503 and any("pool_mode" in text for text in json.loads(body)["missing"])

    try:
        await until(names_it, 3, "/readyz names pool_mode")
    except AssertionError as failure:
        run.failures.append(f"{failure}, with {settings}: {await get(api.port, '/readyz')}")
    connection = Connection(api.port)
    while time.monotonic() < started + run.times(2, 5):
        status, _, body = await connection.send(post(None, b'{"items":[{"productId":"1","quantity":1}]}'), 5)
        run.expect(status == 503, f"an order with {settings}: {status} {body[:200]!r}")
        await asyncio.sleep(0.2)
    connection.close()
    run.expect(await names_it(), f"/readyz does not name pool_mode any more with {settings}: {await get(api.port, '/readyz')}")
    # But for one for each order that was refused.
    errors = [line for line in api.lines()[logged:] if line.get("level") == "ERROR" and "trace_id" not in line]
    run.measure("lines of level error", len(errors), 2, "lines")
    named = [line for line in api.lines()[logged:] if "pool_mode" in json.dumps(line)]
    run.expect(named, f"the log does not name pool_mode with {settings}")
