"""Releases side by side."""

from __future__ import annotations

import asyncio

from harness import Run, Shop, scenario
from machine import Api, Postgres, Sqlite, get, until

# What takes the last migration back.
UNDO = [
    "drop table shop",
    "drop table secrets",
    "alter table change_counters drop column shop",
    "alter table limit_counters drop column version",
    "alter table limit_counters drop column most",
]


@scenario(19, "the release before, and the one after")
async def neighbours(run: Run) -> None:
    run.load = "4 clients on both releases"
    await newer_schema(run)
    await older_schema(run)
    for engine in (Postgres, Sqlite):
        await previous_on_this(run, engine)
        await this_on_previous(run, engine)


async def serves(run: Run, shop: Shop) -> None:
    """Takes orders."""
    async with shop.ordering(4) as record:
        await asyncio.sleep(0.5)
    run.expect(record.acknowledged, "no order was placed")


async def newer_schema(run: Run) -> None:
    """A later release has migrated already: its migrations only add."""
    async with run.shop(apis=0) as shop:
        await shop.database.sql("alter table orders add column note text")
        await shop.database.sql(
            "insert into refinery_schema_history (version, name, applied_on, checksum) "
            "select max(version) + 1, 'add_notes', max(applied_on), '1' from refinery_schema_history"
        )
        run.faults["newer schemas"] += 1
        await shop.add_api()
        await serves(run, shop)


async def unready(run: Run, api: Api) -> None:
    """Says why it does not serve."""
    api.spawn()

    async def tells() -> bool:
        status, body = await get(api.port, "/readyz", 1)
        return status == 503 and b"is missing: run database-migration" in body

    await until(tells, 10, "/readyz names the migration that is missing")
    run.expect((await get(api.port, "/livez"))[0] == 200, "/livez")


async def older_schema(run: Run) -> None:
    """The last migration is still to be applied: unready with a reason, and ready once it is."""
    async with run.shop(apis=0) as shop:
        for statement in UNDO:
            await shop.database.sql(statement)
        await shop.database.sql(
            "delete from refinery_schema_history where version = (select max(version) from refinery_schema_history)"
        )
        run.faults["older schemas"] += 1
        api = await shop.add_api(start=False)
        await unready(run, api)
        job = shop.job("database-migration")
        run.expect(await job.run() == 0, job.log.read_text()[-300:])
        await api.ready(5)
        await serves(run, shop)


async def succeeds(run: Run, shop: Shop, program: str, *arguments: object, **how: object) -> str:
    """Runs a program to its end, and returns what it wrote."""
    job = shop.job(program, *arguments, **how)
    run.expect(await job.run() == 0, f"{program} {arguments}: {job.log.read_text()[-300:]}")
    return job.log.read_text()


async def previous_on_this(run: Run, engine: type) -> None:
    """A rollout in its middle: the schema is new, and half of the programs are not. Both releases order, read, load and
    make keys, side by side."""
    async with run.shop(apis=1, engine=engine) as shop:
        run.faults["programs of the release before"] += 1
        old = await shop.add_api(programs=run.previous)
        await serves(run, shop)
        for programs in (run.previous, run.programs):
            products = (shop.data / "products.csv").read_text()
            (shop.data / "products.csv").write_text(f"{products.rstrip()}\n{900 + len(products)},Soup,4.50,Soup,,,,\n")
            await succeeds(run, shop, "database-load", programs=programs)
            await succeeds(run, shop, "order-food", "keys", "create", "--client", "till", programs=programs)
            listed = await succeeds(run, shop, "order-food", "keys", "list", programs=programs)
            run.expect("till" in listed, f"the list of keys: {listed[-300:]}")
        for api in shop.apis:

            async def follows(port: int = api.port) -> bool:
                _, body = await get(port, "/api/product")
                return body.count(b'"Soup","price"') == 2

            await until(follows, 5, "both releases follow the loads of both")
        await serves(run, shop)
        status, body = await get(old.port, "/readyz")
        run.expect(status == 200, f"the release before is unready: {body}")


async def this_on_previous(run: Run, engine: type) -> None:
    """A server that is ahead of the schema says what is missing, and serves once it is there."""
    async with run.shop(apis=0, engine=engine, prepare=False) as shop:
        for program in ("database-migration", "database-load"):
            await succeeds(run, shop, program, programs=run.previous)
        before = await shop.add_api(programs=run.previous)
        await serves(run, shop)
        api = await shop.add_api(start=False)
        validated = shop.job("database-migration", "validate")
        if await validated.run() == 0:
            await api.start()
        elif engine is Sqlite:
            # It migrates a database that is embedded in it.
            await api.start()
        else:
            await unready(run, api)
            await succeeds(run, shop, "database-migration")
            await api.ready(5)
        await serves(run, shop)
        run.expect((await get(before.port, "/readyz"))[0] == 200, "the release before is unready")
