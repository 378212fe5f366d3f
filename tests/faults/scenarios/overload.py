"""More than can be done, and handlers that panic."""

from __future__ import annotations

import asyncio
import time

from client import ADMIN_KEY, Connection, Prober, head
from harness import Run, scenario
from load import wrk


@scenario(13, "five times the capacity")
async def overload(run: Run) -> None:
    # A slow database bounds the capacity, so that there is machine left for the load.
    async with run.shop(proxied=True) as shop:
        [api] = shop.apis
        shop.proxy.delay = 0.15
        record = shop.record()
        peak = 0.0
        for connections in (512, 1024):
            peak = max(peak, (await placed(api.port, 4, connections)))
        memory = api.memory_mb()
        async with Prober(api.port, "/livez") as prober:
            for _ in range(run.times(2, 3)):
                load = asyncio.create_task(wrk(api.port, run.times(8, 60), 6000))
                await asyncio.sleep(2)
                async with record.ordering(8):
                    done = await load
                ended = time.monotonic()
                run.faults["overloads"] += 1
                offered, good = done["rate"], done["statuses"].get("200", 0) / done["seconds"]
                run.figures.update({"peak": round(peak), "offered": round(offered), "goodput": round(good)})
                run.expect(offered >= 5 * peak, f"{offered:.0f} requests/s are not five times {peak:.0f}")
                run.expect(good >= 0.8 * peak, f"goodput {good:.0f}/s of {peak:.0f}/s")
                run.expect(set(done["statuses"]) <= {"200", "503"}, f"{done['statuses']}")
                shed = [each.seconds for each in record.attempts() if each.reason == "overloaded"]
                run.expect(shed, "nothing was shed")
                run.measure("slowest shed answer", max(shed, default=0), 0.05)
                async with record.ordering(8):
                    await asyncio.sleep(3)
                late = [each.at + each.seconds for each in record.attempts(ended) if each.status != 200 and each.status != 422]
                run.recovered(max(late, default=ended) - ended, 3.0)
                run.measure("memory growth", api.memory_mb() - memory, None, "MB")
        run.load = "6000 connections"
        run.expect(set(prober.statuses()["/livez"]) == {200}, f"{prober.statuses()}")


async def placed(port: int, seconds: float, connections: int) -> float:
    """Orders placed a second."""
    done = await wrk(port, seconds, connections)
    return done["statuses"].get("200", 0) / done["seconds"]


@scenario(14, "handlers panic under load")
async def panics(run: Run) -> None:
    async with run.shop(ENABLE_FAULT_INJECTION="true") as shop:
        [api] = shop.apis
        connection, statuses = Connection(api.port), []
        async with shop.ordering(16) as record:
            ends = time.monotonic() + run.times(4, 30)
            while time.monotonic() < ends:
                status, _, _ = await connection.send(head("GET", "/panic", ADMIN_KEY) + b"\r\n", 5)
                statuses.append(status)
                await asyncio.sleep(0.02)
        run.faults["panics"] = len(statuses)
        run.expect(set(statuses) == {500}, f"/panic: {set(statuses)}")
        others = {each.status for each in record.attempts()}
        run.expect(others <= {200, 422}, f"others saw {others}")
        counted = await api.metric("panics_total")
        run.expect(counted == len(statuses), f"{counted} panics counted of {len(statuses)}")
