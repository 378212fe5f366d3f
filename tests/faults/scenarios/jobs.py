"""Migrators and loaders: many at once, killed half-way, and beside a busy API."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import statistics
from collections import Counter
from pathlib import Path

from client import Connection, head
from harness import Run, Shop, scenario
from machine import Process, Sqlite


@scenario(8, "8 migrators, 4 loaders, an empty database")
async def crowd(run: Run) -> None:
    for engine in (run.scenario.engine, Sqlite):
        wanted = run.times(2, 10)
        killed, rounds = Counter(), 0
        # Some are done before they are killed.
        while min(killed["database-migration"], killed["database-load"]) < wanted and rounds < 4 * wanted:
            rounds += 1
            async with run.shop(apis=0, prepare=False, engine=engine) as shop:
                migrators = [shop.job("database-migration") for _ in range(8)]
                loaders = [shop.job("database-load") for _ in range(4)]
                # The first one is at work when the others come.
                go_on = await shop.database.slow_migrations()
                first, *others = migrators
                first.spawn()
                await shop.database.at_work([first])
                for job in (*others, *loaders):
                    job.spawn()
                victims: list[Process] = []
                # If it goes on, it may be done before it is killed: every other time it is killed while it waits.
                if rounds % 2:
                    go_on()
                await kill(run, first, shop.database.MIGRATION_SECONDS, victims)
                go_on()
                killing = asyncio.create_task(kill_at_work(run, shop, loaders, victims))
                await asyncio.gather(*map(ended, migrators), *map(ended, loaders))
                killing.cancel()
                await asyncio.gather(killing, return_exceptions=True)
                for job in (*migrators, *loaders):
                    code = job.process.returncode
                    may_be_killed = job in victims and code == -9
                    killed[job.name] += may_be_killed
                    run.expect(code == 0 or may_be_killed, f"{job.name} ended with {code}: {job.log.read_text()[-300:]}")
                job = shop.job("database-migration", "validate")
                run.expect(await job.run() == 0, f"validate: {job.log.read_text()[-300:]}")
                job = shop.job("database-load", "--json")
                run.expect(await job.run() == 0, f"one more load: {job.log.read_text()[-300:]}")
                [[products]] = await shop.database.sql("select count(*) from products where retired_at is null")
                [[published]] = await shop.database.sql("select count(distinct data_set) from data_loads where published_at is not null")
                run.expect((products, published) == ("10", "4"), f"{products} products, {published} data sets")
                # A load that was killed stays written down as one that never ended.
                [[open_loads]] = await shop.database.sql("select count(*) from data_loads where published_at is null")
                killed_loaders = sum(job in victims for job in loaders)
                run.expect(int(open_loads) <= killed_loaders, f"{open_loads} loads never ended, {killed_loaders} loaders were killed")
                [[left]] = await shop.database.sql(UNPUBLISHED_CODES)
                run.expect(left == "0", f"{left} codes of sets that are not published were left behind")
                await shop.add_api()
        for name, times in killed.items():
            run.faults[f"{name} kill -9"] += times
            run.expect(times >= wanted, f"{engine.engine}: only {times} times a {name} was killed before it was done")
    run.load = "12 jobs"


UNPUBLISHED_CODES = (
    "select count(*) from coupon_codes where generation <> (select max(generation) from data_loads "
    "where data_set = 'coupons' and published_at is not null)"
)


async def kill_at_work(run: Run, shop: Shop, jobs: list[Process], victims: list[Process]) -> None:
    """Kills whichever is at work, soon after it is seen."""
    await kill(run, await shop.database.at_work(jobs), 0.005, victims)


async def kill(run: Run, victim: Process, most_seconds: float, victims: list[Process]) -> None:
    """Kills it before so much time is over, if it still runs then."""
    await asyncio.sleep(run.random.uniform(0.0, most_seconds))
    if victim.is_running:
        victims.append(victim)
        victim.signal(signal.SIGKILL)


async def ended(job: Process) -> None:
    """Waits for a job, and starts it again while there are no tables, as a cluster does."""
    code = await job.wait(120)
    for _ in range(100):
        if code != 5:
            break
        await asyncio.sleep(0.1)
        code = await job.run()


def menu(count: int, cents: int) -> str:
    """A menu where everything has the same price."""
    lines = [f"{number},Dish {number},{cents / 100:.2f},Dishes" for number in range(1, count + 1)]
    return "\n".join(["id,name,price,category", *lines, ""])


def coupons(folder: Path, letter: str, count: int) -> None:
    """Three files in which as many codes qualify; all begin with the letter."""
    folder.mkdir(exist_ok=True)
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for file in range(3):
        # Each code stands in two of the three, and in between are others that stand in one.
        codes = []
        for number in range(count):
            tail = "".join(digits[number // 36**place % 36] for place in range(5))
            codes.append(f"{letter}X{tail}{'Q' if number % 3 != file else file}")
        with gzip.open(folder / f"couponbase{file + 1}.gz", "wt", compresslevel=1) as text:
            text.write("\n".join(codes) + "\n")


@scenario(9, "the menu refreshed at peak")
async def refreshed(run: Run) -> None:
    async with run.shop(is_steady=True) as shop:
        [api] = shop.apis
        seen: set[tuple] = set()
        is_over = asyncio.Event()

        async def read() -> None:
            connection = Connection(api.port)
            while not is_over.is_set():
                status, _, body = await connection.send(head("GET", "/api/product") + b"\r\n", 5)
                seen.add((status, *sorted({product["price"] for product in json.loads(body)})))
                run.requests += 1
                await asyncio.sleep(0.005)

        async def refresh(cents: int) -> None:
            (shop.data / "products.csv").write_text(menu(200, cents))
            job = shop.job("database-load", "--only", "products")
            run.expect(await job.run() == 0, f"the load: {job.log.read_text()[-300:]}")
            run.faults["refreshes"] += 1

        await refresh(100)
        await asyncio.sleep(1.2)
        reader = asyncio.create_task(read())
        alone, beside = [], []
        seconds = run.times(2, 10)
        for _ in range(run.times(4, 9)):
            alone.append(await shop.load(seconds, 32))
            load = asyncio.create_task(shop.load(seconds, 32))
            # Every second: what a load holds up for a hundredth of that is in the p99.
            cents = 100
            while not load.done():
                cents = 300 - cents
                await refresh(cents)
                await asyncio.wait([load], timeout=1)
            beside.append(await load)
        is_over.set()
        await reader
        run.load = "wrk, 32 connections"
        for each in (*alone, *beside):
            run.expect(set(each["statuses"]) == {"200"}, f"orders: {each['statuses']}")
        # A hitch of the disk is in one turn. What refreshes hold up is in all of them.
        before, after = (statistics.median(each["p99"] for each in turns) for turns in (alone, beside))
        run.figures.update({"orders/s": round_to_ten(alone), "p99 alone": before, "p99 beside a load": after})
        run.measure("p99 ratio", after / before, run.bar(1.2, 3.0), "")
        run.expect(seen == {(200, 1), (200, 2)}, f"readers saw {seen}")


def round_to_ten(runs: list[dict]) -> int:
    """The median rate."""
    return round(statistics.median(each["rate"] for each in runs), -1)


@scenario(10, "the loader killed")
async def loader_killed(run: Run) -> None:
    async with run.shop(apis=0) as shop:
        temporary = shop.folder / "temporary"
        temporary.mkdir()
        codes = run.times(20_000, 60_000)
        for letter in "AB":
            coupons(shop.folder / f"coupons-{letter}", letter, codes)

        def loader(letter: str) -> Process:
            (shop.data / "products.csv").write_text(menu(500, {"A": 100, "B": 200}[letter]))
            target = shop.data / "coupons"
            for file in (shop.folder / f"coupons-{letter}").iterdir():
                (target / file.name).write_bytes(file.read_bytes())
            # So little memory that it writes to temporary files.
            return shop.job("database-load", TMPDIR=temporary, MEMORY_BUDGET="32MiB")

        loop = asyncio.get_running_loop()
        started = loop.time()
        job = loader("A")
        assert await job.run() == 0, job.log.read_text()
        whole = loop.time() - started
        run.figures["a whole load"] = whole
        published = {await published_set(shop)}
        kills, number = run.times(8, 50), 0
        # Some are done before they are killed.
        while run.faults["loader kill -9"] < kills and number < 4 * kills:
            job = loader("BA"[number % 2])
            job.spawn()
            dies_at = loop.time() + run.random.uniform(0, whole)
            while loop.time() < dies_at and job.is_running:
                published.add(await published_set(shop))
            await job.kill()
            number += 1
            run.faults["loader kill -9"] += job.process.returncode == -9
            published.add(await published_set(shop))
        run.expect(run.faults["loader kill -9"] == kills, "the loader is faster than it can be killed")
        for letter in "BA":
            job = loader(letter)
            run.expect(await job.run() == 0, f"the next run: {job.log.read_text()[-300:]}")
            products, found = await published_set(shop)
            cents = {"A": 100, "B": 200}[letter]
            run.expect((products, found) == (((500, cents, cents),), ((letter, codes),)), f"{products} {found}")
        [[left]] = await shop.database.sql(UNPUBLISHED_CODES)
        run.expect(left == "0", f"{left} codes of sets that are not published were left behind")
        menus = {products for products, _ in published}
        sets = {found for _, found in published}
        run.expect(menus <= {((500, 100, 100),), ((500, 200, 200),)}, f"menus between: {menus}")
        run.expect(sets <= {(("A", codes),), (("B", codes),)}, f"codes between: {sets}")
        litter = [path.name for path in temporary.rglob("*")]
        run.expect(not litter, f"left behind: {litter}")
        run.load = f"500 products, {3 * codes} codes"


async def published_set(shop: Shop) -> tuple:
    """What an API would read: of the menu number and prices, of the codes the letter and their number."""
    products = await shop.database.sql(
        "select count(*), min(price_cents), max(price_cents) from products where retired_at is null"
    )
    codes = await shop.database.sql(
        "select substr(code, 1, 1), count(*) from coupon_codes where generation = (select max(generation) from data_loads "
        "where data_set = 'coupons' and published_at is not null) group by 1 order by 1"
    )
    return tuple(tuple(map(int, row)) for row in products), tuple((letter, int(count)) for letter, count in codes)
