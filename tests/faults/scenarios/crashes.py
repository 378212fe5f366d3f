"""Processes that die."""

from __future__ import annotations

import asyncio

from client import Connection, Order
from harness import Run, scenario
from machine import Sqlite


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
