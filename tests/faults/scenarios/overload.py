"""More than can be done, and handlers that panic."""

from __future__ import annotations

import asyncio
import itertools
import time

from client import ADMIN_KEY, Connection, Prober, head, percentile
from harness import Run, Shop, scenario


@scenario(13, "five times the capacity")
async def overload(run: Run) -> None:
    # A slow database bounds the capacity, so that the machine is not what is overloaded: it carries the load, too.
    async with run.shop(proxied=True) as shop:
        [api] = shop.apis
        shop.proxy.bandwidth = 250_000
        record = shop.record()
        # Nobody is refused for a promotion that is used up.
        record.codes = tuple(code for code in record.codes if code != "LIMITED")
        peak = max([await placed(shop, run.times(2, 10), connections) for connections in (256, 768, 1280)])
        connections = 4000
        # Some wait for most of a second; that is part of the time between two requests.
        pause = connections / (6.6 * peak) - 0.2
        memories, full_rate = [], 0.0
        async with Prober(api.port, "/livez", "/api/product") as prober:
            for seconds in (120, 60, 60, 60) if run.is_long else (12, 6):
                async with record.ordering(8, think=0.1):
                    if not full_rate:
                        await asyncio.sleep(2.5)
                        full_rate = record.rate(time.monotonic() - 2, time.monotonic())
                    load = asyncio.create_task(shop.load(seconds, connections, pause=pause))
                    await asyncio.sleep(2)
                    overloaded_at = time.monotonic()
                    done = await load
                    ended = time.monotonic()
                    await asyncio.sleep(run.times(4, 6))
                run.faults["overloads"] += 1
                offered, good = done["rate"], done["statuses"].get("200", 0) / done["seconds"]
                run.figures.update({"peak": round(peak), "offered": round(offered), "goodput": round(good)})
                run.expect(offered >= run.bar(5, 3) * peak, f"{offered:.0f} requests/s are not five times {peak:.0f}")
                run.expect(good >= run.bar(0.8, 0.6) * peak, f"goodput {good:.0f}/s of {peak:.0f}/s")
                run.expect(set(done["statuses"]) <= {"200", "503"}, f"{done['statuses']}")
                meanwhile = record.attempts(overloaded_at, ended - 0.5)
                shed = [each.seconds for each in meanwhile if each.status == 503]
                run.expect(len(shed) > 10, f"{len(shed)} orders were shed")
                run.measure("p99 of shed answers", percentile(shed, 0.99), run.bar(0.05, 0.5))
                late = [each.at for each in record.attempts(ended) if each.status not in (200, 422)]
                run.recovered(max(late, default=ended) - ended, 3.0)
                # They order 80 times a second at most, so in half a second it is chance how often.
                run.recovered(record.recovered_after(ended, full_rate, run.bar(1, 0.5), window=run.times(1, 2)), 3.0)
                memories.append(api.memory_mb())
        shop.proxy.bandwidth = 0
        run.load = f"{connections} connections"
        # The first one makes the allocator's pools; what goes on growing afterwards is a leak.
        run.figures["memory"] = " ".join(f"{memory:.0f}" for memory in memories)
        growth = max(after - before for before, after in itertools.pairwise(memories))
        run.measure("memory growth from one to the next", growth, run.bar(10, 20), "MB")
        for path, statuses in prober.statuses().items():
            run.expect(set(statuses) == {200}, f"{path}: {statuses}")


async def placed(shop: Shop, seconds: float, connections: int) -> float:
    """Orders placed a second."""
    done = await shop.load(seconds, connections)
    return done["statuses"].get("200", 0) / done["seconds"]


@scenario(14, "handlers panic under load")
async def panics(run: Run) -> None:
    async with run.shop(ENABLE_FAULT_INJECTION="true") as shop:
        [api] = shop.apis
        connection, statuses = Connection(api.port), []
        async with shop.ordering(16) as record:
            asked = time.monotonic()
            ends = asked + run.times(4, 30)
            while asked < ends:
                status, _, _ = await connection.send(head("GET", "/panic", ADMIN_KEY) + b"\r\n", 5)
                statuses.append(status)
                # 50 a second, also where one of them came late.
                asked += 0.02
                await asyncio.sleep(asked - time.monotonic())
        run.faults["panics"] = len(statuses)
        run.expect(set(statuses) == {500}, f"/panic: {set(statuses)}")
        others = {each.status for each in record.attempts()}
        run.expect(others <= {200, 422}, f"others saw {others}")
        counted = await api.metric("panics_total")
        run.expect(counted == len(statuses), f"{counted} panics counted of {len(statuses)}")
