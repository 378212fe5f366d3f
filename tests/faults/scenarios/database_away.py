"""PostgreSQL that is gone, frozen, slow, full, ends sessions, or waits for somebody."""

from __future__ import annotations

import asyncio
import re
import time

from client import Prober, Record, post
from harness import Run, Shop, scenario
from load import p99
from machine import get, until

# What an answer would show of the database.
LEAKS = re.compile(rb"select|insert|idempotency_keys|limit_counters|pg_|sqlx|postgres|backend|relation", re.IGNORECASE)

UNKNOWN_PRODUCT = b'{"items":[{"productId":"999999","quantity":1}]}'


@scenario(3, "PostgreSQL killed, back later")
async def postgres_killed(run: Run) -> None:
    away = run.times(2, 5)
    async with run.shop() as shop:
        [api] = shop.apis
        # What also asks the database: a list, and a refused order's key, which may have been used.
        asking = Prober(api.port, "/api/order?limit=5", refused=post("refused", UNKNOWN_PRODUCT))
        async with shop.ordering(16, once=4) as record, Prober(api.port, "/api/product", "/readyz") as prober, asking:
            for _ in range(run.times(2, 5)):
                await asyncio.sleep(run.times(1, 2))
                full_rate = record.rate(time.monotonic() - 0.9, time.monotonic())
                await shop.database.kill()
                killed = time.monotonic()
                run.faults["PostgreSQL kill -9"] += 1
                await asyncio.sleep(away)
                starting = time.monotonic()
                await shop.database.start()
                back = time.monotonic()
                await asyncio.sleep(3)
                run.recovers(record, back, full_rate)
                # Also those under way at its end, and while it comes back.
                meanwhile = [each for each in record.attempts(killed - 5, back) if each.end() > killed]
                statuses = {(each.status, each.reason) for each in meanwhile if killed <= each.at < starting}
                run.expect(
                    statuses <= {(503, "database_unavailable"), (503, "outcome_unknown")}, f"while it was away: {statuses}"
                )
                run.measure("slowest 503", max(each.seconds for each in meanwhile if each.status == 503), run.bar(0.25, 0.5))
        for path, statuses in prober.statuses().items():
            run.expect(set(statuses) == {200}, f"{path}: {statuses}")
        run.measure("slowest probe", prober.slowest())
        refused = [seconds for _, _, status, seconds in asking.seen if status == 503]
        run.expect(refused, "nobody but orders asked for the database while it was away")
        run.measure("slowest 503, others", max(refused, default=0), run.bar(0.25, 0.5))
        statuses = {path: set(each) for path, each in asking.statuses().items()}
        run.expect(statuses == {"/api/order?limit=5": {200, 503}, "refused": {422, 503}}, f"what asks the database: {statuses}")
        status, health = await get(api.port, "/health")
        run.expect(status == 200, f"/health: {status} {health!r}")


@scenario(4, "sessions ended, commits cut off")
async def commits_cut(run: Run) -> None:
    seconds = run.times(5, 60)
    # Of those that have something to do beside it one loses its statement only.
    disturb = (
        "with own as (select pid, state from pg_stat_activity where application_name like 'order-food%'), "
        "ended as (select pid from own order by random() limit 1), "
        "cancelled as (select pid from own where state = 'active' and pid not in (select pid from ended) order by random() limit 1) "
        "select (select count(*) from ended where pg_terminate_backend(pid)), "
        "(select count(*) from cancelled where pg_cancel_backend(pid))"
    )
    async with run.shop(proxied=True) as shop:
        proxy = shop.proxy
        async with shop.ordering(32, once=8) as record:
            # Without keys: nobody repeats what is said not to be done.
            unkeyed = asyncio.create_task(shop.load(2 * seconds, 16))
            due = time.monotonic()
            for _ in range(seconds * 10):
                [[ended, cancelled]] = await shop.database.sql(disturb)
                run.faults.update({"sessions ended": int(ended), "statements cancelled": int(cancelled)})
                due += 0.1
                await asyncio.sleep(due - time.monotonic())
            proxy.cut_one_in = 6
            await asyncio.sleep(seconds)
            near, far_at = proxy.cuts.total(), time.monotonic()
            # Also where the database is far away.
            proxy.delay = 0.02
            await asyncio.sleep(seconds / 3)
            proxy.cut_one_in, proxy.delay = 0, 0
            await unkeyed
        run.faults["commits cut"] = proxy.cuts.total()
        run.figures.update({f"cut {kind}": count for kind, count in proxy.cuts.items()})
        far = proxy.cuts.total() - near
        run.expect(near > 5 * seconds and far > seconds / 3, f"only {near} commits were cut, and {far} far away")
        ended, cancelled = run.faults["sessions ended"], run.faults["statements cancelled"]
        run.expect(ended > 9 * seconds, f"only {ended} sessions were ended in {seconds} s")
        run.expect(cancelled > seconds, f"only {cancelled} statements were cancelled in {seconds} s")
        attempts = [each for part in (record, *shop.unkeyed) for each in part.ended]
        for where, part in (
            ("near", [each for each in attempts if each.at < far_at]),
            ("far", [each for each in attempts if each.at >= far_at]),
        ):
            unknown = sum(each.reason == "outcome_unknown" for each in part)
            run.figures[f"outcome unknown, {where}"] = f"{unknown} of {len(part)}"
            run.expect(unknown <= 0.01 * len(part), f"{where}: of {len(part)} requests {unknown} were told that nobody knows")
        leaks = [each.refusal for each in record.attempts() if LEAKS.search(each.refusal)]
        run.expect(not leaks, f"SQL in an answer: {leaks[:1]}")


@scenario(5, "PostgreSQL frozen, then slow")
async def postgres_frozen(run: Run) -> None:
    async with run.shop(proxied=True) as shop:
        [api], proxy = shop.apis, shop.proxy
        async with shop.ordering(64, think=0.02) as record, Prober(api.port, "/livez", "/api/product", "/readyz") as prober:
            await asyncio.sleep(2)
            full_rate = record.rate(time.monotonic() - 1.5, time.monotonic())
            flood = asyncio.create_task(shop.load(run.times(7, 13), 1000))
            await asyncio.sleep(2)
            memory = api.memory_mb()
            frozen_at = time.monotonic()
            async with shop.database.frozen():
                for _ in range(run.times(4, 10)):
                    await asyncio.sleep(1)
                    run.measure("memory growth", api.memory_mb() - memory, 20, "MB")
                    run.measure("orders waiting", await api.metric("order_queue_orders"))
            thawed = time.monotonic()
            run.faults["PostgreSQL SIGSTOP"] = 1
            flooded = await flood
            run.figures["flood"] = str(flooded["statuses"])
            run.expect(set(flooded["statuses"]) <= {"200", "503"}, f"the flood was answered {flooded['statuses']}")
            run.measure("slowest answer, flood", flooded["max"], run.bar(2.0, 2.5))
            await asyncio.sleep(3)
            run.recovers(record, thawed, full_rate)
            proxy.delay, slow_at = 0.2, time.monotonic()
            seconds = run.times(6, 10)
            await asyncio.sleep(seconds)
            proxy.delay = 0
            run.faults["200 ms added"] = 1
            placed = sum(each.status == 200 for each in record.attempts(slow_at))
            run.figures["placed, slow"] = placed
            run.expect(placed > 10 * seconds, f"only {placed} orders were placed while each answer came 200 ms later")
        # By now everybody was answered.
        told_in_time(run, record, frozen_at, thawed)
        run.measure("slowest answer, slow", max(each.seconds for each in record.attempts(slow_at)), run.bar(2.0, 2.5))
        await frozen_again(run, shop)
        for path, statuses in prober.statuses().items():
            run.expect(set(statuses) == {200}, f"{path}: {statuses}")
        run.measure("slowest probe", prober.slowest(), run.bar(1.0, 2.0))


def told_in_time(run: Run, record: Record, frozen_at: float, thawed: float) -> None:
    """Nobody waits for a frozen database for long, and not at all once it is known."""
    run.measure("slowest answer, frozen", max(each.seconds for each in record.attempts(frozen_at, thawed)), run.bar(2.0, 2.5))
    known = record.attempts(frozen_at + 2.5, thawed - 0.5)
    statuses = {each.status for each in known}
    run.expect(statuses == {503}, f"frozen, and known to be: {statuses}")
    run.measure("slowest refusal, frozen", max((each.seconds for each in known), default=0), run.bar(0.25, 0.5))


async def frozen_again(run: Run, shop: Shop) -> None:
    """Where few order nobody finds the queue full, and all wait for the database."""
    async with shop.record().ordering(16) as record:
        await asyncio.sleep(1.5)
        full_rate = record.rate(time.monotonic() - 1, time.monotonic())
        frozen_at = time.monotonic()
        async with shop.database.frozen():
            await asyncio.sleep(run.times(4, 10))
        thawed = time.monotonic()
        run.faults["PostgreSQL SIGSTOP"] += 1
        await asyncio.sleep(3)
        run.recovers(record, thawed, full_rate)
    told_in_time(run, record, frozen_at, thawed)


@scenario(6, "all connections taken by others")
async def connections_taken(run: Run) -> None:
    async with run.shop(server={"max_connections": 16}) as shop:
        [api] = shop.apis
        async with shop.ordering(16) as record, Prober(api.port, "/api/product", "/readyz") as prober:
            await asyncio.sleep(1)
            full_rate = record.rate(time.monotonic() - 0.9, time.monotonic())
            others = await shop.database.take_all_connections("order-food%")
            taken = time.monotonic()
            run.faults["connections taken"] = len(others)
            run.expect(len(others) == 16, f"only {len(others)} of 16 connections were taken")
            await asyncio.sleep(run.times(3, 10))
            for other in others:
                other.kill()
                other.wait()
            free = time.monotonic()
            await asyncio.sleep(3)
            run.recovers(record, free, full_rate)
            meanwhile = record.attempts(taken, free - 0.5)
            statuses = {(each.status, each.reason) for each in meanwhile}
            run.figures["answers"] = str(sorted(statuses))
            run.expect(statuses == {(503, "database_unavailable")}, f"while all were taken: {statuses}")
        for path, statuses in prober.statuses().items():
            run.expect(set(statuses) == {200}, f"{path}: {statuses}")
        run.expect(api.is_running, "the API ended")


@scenario(21, "a counter held by somebody")
async def counter_held(run: Run) -> None:
    hold = "begin; select from limit_counters where name = 'promotion:PLENTY' for update; select pg_sleep(600)"
    is_held = "select 1 from pg_stat_activity where wait_event = 'PgSleep'"
    # Long enough for two orders one after the other that wait as long as they may.
    seconds, before, beside = run.times(4, 10), [], []
    async with run.shop() as shop:
        needing, others = shop.record(), shop.record()
        needing.codes, others.codes = ("PLENTY",), tuple(code for code in others.codes if code != "PLENTY")
        run.load = "16 clients, wrk"
        async with needing.ordering(4, think=0.02), others.ordering(12, think=0.02):
            for _ in range(run.times(1, 3)):
                await asyncio.sleep(1.5)
                full_rate = needing.rate(time.monotonic() - 1, time.monotonic())
                before.append(await shop.load(seconds, 16))
                holder = shop.database.session(hold)
                await until(lambda: shop.database.sql(is_held), 10, "a counter is held")
                held_at = time.monotonic()
                run.faults["counters held"] += 1
                beside.append(await shop.load(seconds, 16))
                released = time.monotonic()
                holder.kill()
                holder.wait()
                await asyncio.sleep(2)
                run.recovers(needing, released, full_rate)
                held_up(run, needing, others, held_at, released)
    rates = [sum(load["rate"] for load in loads) / len(loads) for loads in (before, beside)]
    run.figures["orders/s, before"], run.figures["orders/s, held"] = map(round, rates)
    run.figures["p99, before"], run.figures["p99, held"] = p99(before), p99(beside)
    run.expect(rates[1] >= run.bar(0.8, 0.5) * rates[0], f"{rates[1]:.0f} orders/s beside a held counter, {rates[0]:.0f} before")
    statuses = {status for load in beside for status in load["statuses"]}
    run.expect(statuses == {"200"}, f"the load was answered {statuses}")


def held_up(run: Run, needing: Record, others: Record, held_at: float, released: float) -> None:
    """Who needs the counter is told in time that the order is not placed. Nobody else notices, but for those who ask while
    it is not known yet."""
    refused, served = ([each for each in record.attempts(held_at) if each.end() < released] for record in (needing, others))
    statuses = {(each.status, each.reason) for each in refused}
    not_placed = {(503, "overloaded"), (503, "database_unavailable")}
    run.expect(statuses and statuses <= not_placed, f"who needs the counter was told {statuses}")
    run.measure("slowest answer", max((each.seconds for each in refused), default=0), run.bar(2.0, 2.5))
    statuses = {each.status for each in served}
    run.expect(200 in statuses and statuses <= {200, 422}, f"who does not need the counter was told {statuses}")
    run.measure("slowest answer, others", max((each.seconds for each in served), default=0), run.bar(1.0, 1.5))
