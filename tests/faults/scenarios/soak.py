"""A long time at an ordinary load."""

from __future__ import annotations

import asyncio
import statistics
import time

from harness import Run, Shop, scenario
from load import p99

CONNECTIONS = 64


@scenario(18, "30 minutes at 60 %", long_only=True)
async def soak(run: Run) -> None:
    minutes = run.soak_minutes
    async with run.shop(is_steady=True) as shop:
        [api] = shop.apis
        await born_old(shop)
        capacity = (await shop.load(10, CONNECTIONS, keyed=True))["rate"]
        target = 0.6 * capacity
        # Clients wait for answers too, so the pause between two requests is less than their time.
        pause = CONNECTIONS / target
        pause -= CONNECTIONS / (await shop.load(10, CONNECTIONS, keyed=True, pause=pause))["rate"] - pause
        memory: list[tuple[float, float]] = []
        parts: list[dict] = []
        async with shop.ordering(2, think=0.1):
            started = time.monotonic()
            for _ in range(minutes):
                load = asyncio.create_task(shop.load(60, CONNECTIONS, keyed=True, pause=pause))
                while not load.done():
                    await asyncio.wait([load], timeout=5)
                    memory.append((time.monotonic() - started, api.memory_mb()))
                parts.append(await load)
                # Answers take as long as they do by now.
                pause = max(pause + CONNECTIONS / target - CONNECTIONS / parts[-1]["rate"], 0)
                run.expect(set(parts[-1]["statuses"]) == {"200"}, f"minute {len(parts)}: {parts[-1]['statuses']}")
            [[left]] = await shop.database.sql("select count(*) from idempotency_keys where key not like 'r%'")
        rate = statistics.mean(part["rate"] for part in parts)
        run.load = f"{rate:.0f} of {capacity:.0f} orders/s"
        run.expect(0.57 <= rate / capacity <= 0.63, f"the load was {100 * rate / capacity:.0f} % of the capacity")
        run.faults["keys grown old"] = sum(part["statuses"]["200"] for part in parts)
        # The first minutes are those of a database without rows and without anything to remove.
        warm = minutes // 6
        settled = memory[len(memory) // 6 :]
        slope = statistics.linear_regression(*zip(*settled, strict=True)).slope * 60
        run.figures["memory"] = f"{settled[0][1]:.0f} to {settled[-1][1]:.0f} MB"
        run.measure("memory slope", slope, 1.0, "MB/min")
        fifth = max(minutes // 5, 1)
        first, last = p99(parts[warm : warm + fifth]), p99(parts[-fifth:])
        run.figures["p99 by minute"] = " ".join(f"{part['p99'] * 1000:.1f}" for part in parts)
        run.figures.update({"first p99": first, "last p99": last})
        run.measure("p99 drift", last / first - 1, 0.1, "")
        # Housekeeping comes by once a minute.
        run.figures["keys left"] = int(left)
        run.expect(int(left) < 3 * 60 * rate, f"{left} keys are left")


async def born_old(shop: Shop) -> None:
    """The keys of the load are stored as if that had been a day ago: nobody will ask for them again."""
    [[client]] = await shop.database.sql("select id from api_clients where name = 'load'")
    day = 25 * 3600 * 1_000_000
    await shop.database.sql(
        f"create function born_old() returns trigger language plpgsql as 'begin new.created_at = new.created_at - {day}; "
        "return new; end'; create trigger born_old before insert on idempotency_keys for each row "
        f"when (new.client_id = {client}) execute function born_old()"
    )
