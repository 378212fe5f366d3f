"""A long time at an ordinary load."""

from __future__ import annotations

import asyncio
import statistics
import time

from harness import Run, scenario
from load import wrk


@scenario(18, "30 minutes at 60 %", long_only=True)
async def soak(run: Run) -> None:
    minutes, connections = run.soak_minutes, 64
    async with run.shop() as shop:
        [api] = shop.apis
        capacity = (await wrk(api.port, 10, connections, keyed=True))["rate"]
        pause = connections / (0.6 * capacity)
        memory: list[tuple[float, float]] = []
        parts: list[dict] = []
        day = 25 * 3600 * 1_000_000
        old = "from idempotency_keys where client_id = (select id from api_clients where name = 'load')"
        async with shop.ordering(2, think=0.1):
            started = time.monotonic()
            for _ in range(minutes):
                load = asyncio.create_task(wrk(api.port, 60, connections, keyed=True, pause=pause))
                while not load.done():
                    await asyncio.wait([load], timeout=5)
                    memory.append((time.monotonic() - started, api.memory_mb()))
                parts.append(await load)
                # As if a day had passed for what nobody will ask for again.
                await shop.database.sql(
                    "update idempotency_keys set created_at = created_at - "
                    f"{day} where client_id = (select id from api_clients where name = 'load') and created_at > {day}"
                )
                run.faults["keys made old"] += 1
        run.load = f"{0.6 * capacity:.0f} orders/s"
        settled = memory[len(memory) // 6 :]
        slope = statistics.linear_regression(*zip(*settled, strict=True)).slope * 60
        run.figures["memory"] = f"{settled[0][1]:.0f} to {settled[-1][1]:.0f} MB"
        run.measure("memory slope", slope, 1.0, "MB/min")
        fifth = max(minutes // 5, 1)
        first, last = (statistics.median(each["p99"] for each in part) for part in (parts[1 : fifth + 1], parts[-fifth:]))
        run.figures.update({"first p99": first, "last p99": last})
        run.measure("p99 drift", last / first - 1, 0.1, "")
        [[left]] = await shop.database.sql(f"select count(*) {old}")
        # Housekeeping comes by once a minute and takes 500 keys at a time.
        run.figures["keys left"] = int(left)
        run.expect(int(left) < 3 * 60 * 0.6 * capacity, f"{left} keys are left")
        for each in parts:
            run.expect(set(each["statuses"]) == {"200"}, f"{each['statuses']}")
