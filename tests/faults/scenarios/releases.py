"""Releases side by side."""

from __future__ import annotations

import asyncio

from harness import Run, Shop, scenario
from machine import Api, get, until

DROP_INDEXES = [
    "orders_by_client", "api_keys_by_client", "promotion_redemptions_by_code", "idempotency_keys_by_age",
]  # fmt: skip


@scenario(19, "the release before, and the one after")
async def neighbours(run: Run) -> None:
    await newer_schema(run)
    await older_schema(run)
    if run.previous:
        await previous_on_this(run)
        await this_on_previous(run)
    run.load = "with the release before" if run.previous else "this release only"


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
        for index in DROP_INDEXES:
            await shop.database.sql(f"drop index {index}")
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


async def previous_on_this(run: Run) -> None:
    """A rollout in its middle: the schema is new, half of the servers are not."""
    async with run.shop(apis=1) as shop:
        run.faults["APIs of the release before"] += 1
        await shop.add_api(programs=run.previous)
        await serves(run, shop)


async def this_on_previous(run: Run) -> None:
    """A server that is ahead of the schema serves, or says what is missing."""
    async with run.shop(apis=0, prepare=False) as shop:
        for program in ("database-migration", "database-load"):
            job = shop.job(program, programs=run.previous)
            run.expect(await job.run() == 0, job.log.read_text()[-300:])
        api = await shop.add_api(start=False)
        job = shop.job("database-migration", "validate")
        if await job.run() == 0:
            await api.start()
        else:
            await unready(run, api)
            job = shop.job("database-migration")
            run.expect(await job.run() == 0, job.log.read_text()[-300:])
            await api.ready(5)
        await serves(run, shop)
