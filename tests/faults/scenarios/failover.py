"""A primary that dies, and a standby that takes its place."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

from client import Record
from harness import Run, Shop, scenario
from replication import Pair

REFUSALS = {(503, "database_unavailable"), (503, "outcome_unknown"), (503, "overloaded")}


async def recovers(run: Run, record: Record, moment: float, full_rate: float) -> None:
    """Soon after a moment orders are placed at the full rate; it waits no longer than that takes."""
    deadline = moment + run.bar(2.0, 3.0) + 1
    while time.monotonic() < deadline:
        await asyncio.sleep(0.3)
        if record.recovered_after(moment, full_rate, run.bar(1, 0.5)) < float("inf"):
            break
    run.recovers(record, moment, full_rate)


@scenario(22, "failover with a synchronous standby", engine=Pair)
async def failovers(run: Run) -> None:
    async with run.shop() as shop:
        pair: Pair = shop.database
        await pair.synchronous()
        for number in range(run.times(2, 20)):
            # By turns the new primary waits for no standby until it has one, and takes no orders until it has one.
            is_strict = number % 2 == 1
            # The first time longer than the API waits for a commit.
            cut = 1.8 if number == 0 else run.random.choice((0.0, run.random.uniform(0.2, 2.0)))
            await fail_over(run, shop, is_strict, cut)
            run.faults["failovers"] += 1
            run.faults["of these with the standby cut off"] += cut > 0


async def fail_over(run: Run, shop: Shop, is_strict: bool, cut: float) -> None:
    """Kills the primary at a random moment, and before that cuts the standby off for a while where asked to."""
    pair: Pair = shop.database
    async with shop.ordering(24, think=0.01, once=16) as record:
        await asyncio.sleep(run.random.uniform(1.0, 1.5))
        before = time.monotonic()
        full_rate, unkeyed = (each.rate(before - 0.9, before) for each in (record, *shop.unkeyed))
        run.measure("most orders/s", full_rate + unkeyed)
        async with pair.cut_off() if cut else contextlib.nullcontext():
            await asyncio.sleep(cut)
            await pair.primary.kill()
        await pair.standby.configure(synchronous_standby_names="*" if is_strict else "")
        await pair.fail_over()
        moved = time.monotonic()
        if not is_strict:
            await recovers(run, record, moved, full_rate)
        await pair.rebuild()
        await pair.synchronous()
        rebuilt = time.monotonic()
        if is_strict:
            run.measure("rebuilt after", rebuilt - moved)
            await recovers(run, record, rebuilt, full_rate)
        which = "with one standby required" if is_strict else "with none required"
        run.measure(f"full rate after the switch, {which}", record.recovered_after(moved, full_rate, run.bar(1, 0.5)))


@scenario(24, "the address moves to a standby that lags", engine=Pair)
async def lagging(run: Run) -> None:
    # What a commit waits for. With the first all that is under way is at the standby, and waits, when the primary dies.
    commits = itertools.cycle(("remote_apply", "on", "remote_write"))
    told: set[tuple[int, str]] = set()
    async with run.shop() as shop:
        pair: Pair = shop.database
        for number in range(run.times(1, 12)):
            if number:
                await pair.rebuild()
            await pair.synchronous()
            await pair.primary.configure(synchronous_commit=next(commits))
            # Sessions that are there already may go on as they began.
            await pair.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'order-food%'")
            told |= await moved_too_early(run, shop, is_paused=number % 2 == 0)
            run.faults["failovers"] += 1
    run.figures["answers"] = str(sorted(told))
    run.expect((503, "outcome_unknown") in told, "no client was told that an outcome is unknown")


async def moved_too_early(run: Run, shop: Shop, is_paused: bool) -> set[tuple[int, str]]:
    """The address leads to a standby that has everything and shows only a part of it, and is promoted later; what clients
    are told meanwhile."""
    pair: Pair = shop.database
    async with shop.ordering(24, think=0.01, once=16) as record:
        await asyncio.sleep(1)
        full_rate = record.rate(time.monotonic() - 0.8, time.monotonic())
        if is_paused:
            await pair.standby.sql("select pg_wal_replay_pause()")
        else:
            await pair.standby.configure(recovery_min_apply_delay="3000")
        await asyncio.sleep(run.random.uniform(0.2, 0.6))
        await pair.primary.kill()
        killed = time.monotonic()
        await pair.lead_to(pair.standby)
        run.measure("address moved after", time.monotonic() - killed, 0.2)
        await asyncio.sleep(run.random.uniform(0.6, 1.5))
        promoting = time.monotonic()
        await pair.standby.configure(synchronous_standby_names="", recovery_min_apply_delay="0")
        await pair.fail_over()
        await recovers(run, record, time.monotonic(), full_rate)
    # What is said of each is compared with the database at the end.
    attempts = [each for part in (record, *shop.unkeyed) for each in part.attempts(killed - 5)]
    meanwhile = [each for each in attempts if killed < each.end() < promoting]
    refused = {(each.status, each.reason) for each in meanwhile if each.at > killed}
    run.expect(refused <= REFUSALS, f"while there was no primary: {refused}")
    return {(each.status, each.reason) for each in meanwhile}
