"""PostgreSQL that is gone, frozen, slow, full, or ends sessions."""

from __future__ import annotations

import asyncio
import time

from client import Prober
from harness import Run, scenario
from machine import get


@scenario(3, "PostgreSQL killed, back later")
async def postgres_killed(run: Run) -> None:
    away = run.times(2, 5)
    async with run.shop() as shop:
        [api] = shop.apis
        async with shop.ordering(16) as record, Prober(api.port, "/api/product", "/readyz") as prober:
            for _ in range(run.times(2, 5)):
                await asyncio.sleep(2)
                full_rate = record.rate(time.monotonic() - 1.5, time.monotonic())
                await shop.database.kill()
                killed = time.monotonic()
                run.faults["PostgreSQL kill -9"] += 1
                await asyncio.sleep(away)
                starting = time.monotonic()
                await shop.database.start()
                back = time.monotonic()
                await asyncio.sleep(3)
                run.recovered(record.recovered_after(back, full_rate), 2.0)
                meanwhile = record.attempts(killed, starting)
                statuses = {(each.status, each.reason) for each in meanwhile}
                run.expect(
                    statuses <= {(503, "database_unavailable"), (503, "outcome_unknown")}, f"while it was away: {statuses}"
                )
                run.measure("slowest 503", max(each.seconds for each in meanwhile), 0.25)
        for path, statuses in prober.statuses().items():
            run.expect(set(statuses) == {200}, f"{path}: {statuses}")
        run.measure("slowest probe", prober.slowest())
        status, health = await get(api.port, "/health")
        run.expect(status == 200, f"/health: {status} {health!r}")
