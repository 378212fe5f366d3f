"""Processes that die, or stand still."""

from __future__ import annotations

import asyncio
import signal
import time

from client import Connection, Order
from harness import Run, Shop, scenario
from machine import Api, Sqlite


@scenario(1, "one key, 64 clients at once")
async def one_key(run: Run) -> None:
    async with run.shop(apis=2) as shop:
        record = shop.record()
        connections = [Connection(record.ports[number % 2]) for number in range(64)]
        rounds = run.times(25, 100)
        for _ in range(rounds):
            first = record.new_order()
            copies = [first, *(Order(first.key, first.body) for _ in connections[1:])]
            await asyncio.gather(*(map(record.converge, connections, copies)))
            record.orders += copies[1:]
            different = sum((copy.status, copy.answer) != (first.status, first.answer) for copy in copies)
            run.expect(not different, f"{different} of 64 clients with one key got another answer")
            placed = [copy for copy in copies if copy.status == 200]
            first_answers = sum("idempotent-replayed" not in copy.attempts[-1].headers for copy in placed)
            run.expect(first_answers == bool(placed), f"{first_answers} of 64 answers were no repetition")
            # The code LIMITED may be used up: then all are refused.
            run.expect(first.status in (200, 422), f"an order was answered {first.status}")
        run.load, run.faults["rounds with one key"] = "64 clients", rounds
        for connection in connections:
            connection.close()


async def killed(run: Run, rounds: int, most_seconds: float) -> None:
    """Kills the API at random moments while clients order."""
    async with run.shop() as shop:
        [api] = shop.apis
        async with shop.ordering(32, once=8) as record:
            for _ in range(rounds):
                await asyncio.sleep(run.random.uniform(0.1, 0.7))
                before = len(record.acknowledged)
                await api.kill()
                run.recovered(await api.start(), most_seconds)
                run.faults["kill -9"] += 1
                await asyncio.sleep(0.1)
                run.expect(len(record.acknowledged) > before, "no order was placed after a start")
        if run.scenario.engine is Sqlite:
            [[said]] = await shop.database.sql("pragma integrity_check")
            run.expect(said == "ok", f"integrity_check: {said}")


@scenario(2, "the API killed")
async def api_killed(run: Run) -> None:
    await killed(run, run.times(6, 20), run.bar(1.0, 3.0))


@scenario(17, "the API killed, SQLite", engine=Sqlite)
async def sqlite_killed(run: Run) -> None:
    await killed(run, run.times(6, 20), run.bar(1.0, 3.0))


@scenario(20, "an API frozen in a transaction")
async def api_frozen(run: Run) -> None:
    async with run.shop(proxied=True) as shop:
        # The other one is as near to the database as ever.
        shop.api_url = shop.database.url
        first, other = shop.apis[0], await shop.add_api()
        async with shop.ordering(16, ports=[first.port]), shop.ordering(16, ports=[other.port]) as record:
            for _ in range(run.times(1, 5)):
                await asyncio.sleep(1.5)
                full_rate = record.rate(time.monotonic() - 1, time.monotonic())
                # Far away, so that its transactions are open for a while.
                shop.proxy.delay = 0.02
                await frozen_with_counters(shop, first)
                frozen, shop.proxy.delay = time.monotonic(), 0
                run.faults["SIGSTOP"] += 1
                await asyncio.sleep(run.times(3, 5))
                first.signal(signal.SIGCONT)
                run.recovers(record, frozen, full_rate)


async def frozen_with_counters(shop: Shop, api: Api) -> None:
    """Stops a process at a moment when it holds counters that the orders of others need, too."""
    holding = (
        "select count(*) from pg_stat_activity a where state = 'idle in transaction' and state_change < now() - interval '50 ms' "
        "and exists (select from pg_locks l where l.pid = a.pid and l.relation = 'limit_counters'::regclass)"
    )
    deadline = time.monotonic() + 20
    while True:
        api.signal(signal.SIGSTOP)
        await asyncio.sleep(0.1)
        [[count]] = await shop.database.sql(holding)
        if count == "1":
            return
        assert time.monotonic() < deadline, "never caught with counters"
        api.signal(signal.SIGCONT)
        await asyncio.sleep(shop.run.random.uniform(0.05, 0.2))
