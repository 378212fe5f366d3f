"""Standbys that are gone, or that stand where the primary should."""

from __future__ import annotations

import asyncio
import json
import time

from client import Attempt, Prober
from harness import Run, Shop, scenario
from machine import Api, get
from replication import Pair
from scenarios.failover import recovers


@scenario(23, "commits that wait for a standby", engine=Pair)
async def no_standby(run: Run) -> None:
    # A client turns to the other API when it is refused, which knows only what the database shows.
    async with run.shop(apis=2) as shop:
        pair: Pair = shop.database
        await pair.synchronous()
        async with shop.ordering(12, once=4) as record:
            await asyncio.sleep(1)
            full_rate = record.rate(time.monotonic() - 0.9, time.monotonic())
            await pair.standby.kill()
            gone = time.monotonic()
            run.faults["standbys gone"] = 1
            seconds = run.bar(10, 0.7)
            # Longer than the API waits for a commit.
            await waits(run, shop, None, 1.8 + seconds)
            for ending in ("cancel", "terminate"):
                run.faults[f"waits that an administrator {ending}s"] = await waits(run, shop, ending, seconds)
            unconfirmed = [await api.metric("orders_unconfirmed_total") for api in shop.apis]
            run.figures["unconfirmed"] = sum(unconfirmed)
            run.expect(all(unconfirmed), f"orders_unconfirmed_total: {unconfirmed}, though no order could be confirmed")
            # Another one knows of nothing that came before.
            await shop.apis[1].kill()
            await shop.apis[1].start()
            await waits(run, shop, None, seconds)
            returning = time.monotonic()
            await pair.standby.start()
            await pair.primary.has_standby("sync_state in ('sync', 'quorum')")
            await recovers(run, record, time.monotonic(), full_rate)
        unconfirmed_orders(run, [each for told in (record, *shop.unkeyed) for each in told.attempts(gone)], returning)
        await pair.primary.kill()
        await pair.standby.configure(synchronous_standby_names="")
        await pair.fail_over()
        run.faults["failovers"] = 1
        # The new primary is what is compared with the clients' record, and what answers keys again.
        async with shop.ordering(4) as record:
            await asyncio.sleep(0.5)
        run.expect(record.acknowledged, "no order was placed after the failover")


async def waits(run: Run, shop: Shop, ending: str | None, seconds: float) -> int:
    """For a while, sessions that wait for a standby are cancelled or terminated, or nothing is done to them; how many."""
    waiting = "from pg_stat_activity where wait_event = 'SyncRep' and application_name like 'order-food%'"
    end = f"select count(*) {waiting} and pg_{ending}_backend(pid)" if ending else "select 0"
    ended, until_then = 0, time.monotonic() + seconds
    while time.monotonic() < until_then:
        [[count]] = await shop.database.sql(end)
        ended += int(count)
        [[sessions]] = await shop.database.sql("select count(*) from pg_stat_activity where application_name like 'order-food%'")
        # Twelve are what each API may have, and one beside each writer.
        run.measure("sessions", int(sessions), 14 * len(shop.apis), "sessions")
        await asyncio.sleep(0.1)
    return ended


def unconfirmed_orders(run: Run, attempts: list[Attempt], returning: float) -> None:
    """Without a standby an order is not acknowledged, and its client hears so in time."""
    meanwhile = [each for each in attempts if each.end() < returning]
    run.measure("slowest answer without a standby", max((each.seconds for each in meanwhile), default=0), run.bar(2.0, 2.5))
    acknowledged = sum(each.status == 200 for each in meanwhile)
    run.expect(not acknowledged, f"{acknowledged} orders were acknowledged that are on no standby")
    statuses = {(each.status, each.reason) for each in meanwhile}
    run.figures["answers without a standby"] = str(sorted(statuses))
    # No answer is one of the API that is killed.
    allowed = {"", "outcome_unknown", "overloaded", "database_unavailable", "coupon_limit_reached", "idempotency_in_progress"}
    odd = {(status, reason) for status, reason in statuses if reason not in allowed}
    run.expect(not odd, f"without a standby orders were answered {odd}")
    run.expect((503, "outcome_unknown") in statuses, "no client was told that the outcome is unknown")


# Whether connections are cut when the address moves to the standby, and when it moves back.
CUTS = [(True, False), (True, True), (False, True), (False, False)]


@scenario(25, "the address leads to a standby and back", engine=Pair)
async def there_and_back(run: Run) -> None:
    async with run.shop() as shop, Prober(shop.apis[0].port, "/api/product", "/readyz") as prober:
        for number in range(run.times(1, 8)):
            await astray(run, shop, *CUTS[number % len(CUTS)])
            run.faults["addresses astray"] += 1
        for path, statuses in prober.statuses().items():
            run.expect(set(statuses) == {200}, f"{path}: {statuses}")


async def astray(run: Run, shop: Shop, cut_there: bool, cut_back: bool) -> None:
    """For a while new connections lead to the standby."""
    pair, [api] = shop.database, shop.apis
    how = f"connections {'cut' if cut_there else 'kept'} there, {'cut' if cut_back else 'kept'} on the way back"
    async with shop.ordering(16, think=0.005, once=4) as record:
        await asyncio.sleep(0.8)
        full_rate = record.rate(time.monotonic() - 0.7, time.monotonic())
        await pair.lead_to(pair.standby, cut_there)
        moved = time.monotonic()
        # So that what it shows later on is not what the primary has.
        await pair.standby.sql("select pg_wal_replay_pause()")
        await asyncio.sleep(1)
        if cut_there:
            await names_the_standby(run, api, how)
        # Readers come to have as many connections as they can, where new ones lead to.
        await record.found(api.port, 200, 16)
        await asyncio.sleep(max(moved + run.times(2, 3) - time.monotonic(), 0))
        await pair.lead_to(pair.primary, cut_back)
        back = time.monotonic()
        if cut_there:
            await recovers(run, record, back, full_rate)
        await asyncio.sleep(max(back + 2 - time.monotonic(), 0))
        fresh = [order for order in record.acknowledged if order.attempts[-1].at > back]
        run.expect(fresh, f"within 2 s of the way back no order was acknowledged, {how}")
        statuses = await record.found(api.port, 200, 16)
        run.expect(set(statuses) == {200}, f"orders just acknowledged are {statuses}, {how}")
        await pair.standby.sql("select pg_wal_replay_resume()")
    if cut_there:
        attempts = [each for told in (record, *shop.unkeyed) for each in told.attempts(moved + 1, back)]
        refused(run, [each for each in attempts if each.end() < back])


async def names_the_standby(run: Run, api: Api, how: str) -> None:
    """The API goes on with what it has in memory, and says where it has come to."""
    status, body = await get(api.port, "/readyz")
    database = json.loads(body)["database"]
    run.expect((status, database) == (200, "standby"), f"/readyz: {status}, {database}, {how}")
    status, body = await get(api.port, "/health")
    database = json.loads(body)["database"]["status"]
    run.expect((status, database) == (200, "standby"), f"/health: {status}, {database}, {how}")


def refused(run: Run, meanwhile: list[Attempt]) -> None:
    """A standby takes no orders, and clients hear that it is one."""
    statuses = {(each.status, each.reason) for each in meanwhile}
    run.expect(statuses == {(503, "database_unavailable")}, f"from a standby: {statuses}")
    silent = [each.refusal for each in meanwhile if b"standby" not in each.refusal]
    run.expect(not silent, f"{len(silent)} refusals do not name the standby: {silent[:1]}")
