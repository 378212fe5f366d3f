"""What stored orders cost new ones, and pages of them."""

import hashlib
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

from common import HERE, SECONDS, load, psql, rounds, shop, start_api

ROWS = [int(rows) for rows in os.environ.get("BENCH_GROWTH_ROWS", "0 1000000 10000000").split()]
# One order each half second until now: ids that rise with time, as those of the API do.
APART_MS = 500
# On both engines together, with what rounds and write-ahead logs add.
BYTES_EACH, BYTES_BESIDE = 1_100, 10 << 30
CHUNK = 500_000
# The newest order is one that scripts/bench/load.lua has placed.
SAMPLE = "select snapshot from orders order by id desc limit 1"
COLUMNS = "insert into orders (id, client_id, status, version, created_at, updated_at, snapshot)"
DEMO = "select id from api_clients where name = 'demo'"


def fill_postgres(url, rows, start_ms):
    for first in range(0, rows, CHUNK):
        last = min(first + CHUNK, rows) - 1
        psql(url, f"""
            {COLUMNS} select (lpad(to_hex(ms), 12, '0') || '7' || substr(tail, 1, 3) || '8' || substr(tail, 4, 15))::uuid,
                ({DEMO}), 'placed', 1, ms * 1000, ms * 1000, ({SAMPLE})
            from generate_series({first}::bigint, {last}) as n, lateral (select {start_ms} + n * {APART_MS} as ms, md5(n::text) as tail) m
            order by n""")
    psql(url, "vacuum analyze orders")
    psql(url, "checkpoint")


def fill_sqlite(file, rows, start_ms):
    with sqlite3.connect(file) as connection:
        client, snapshot = connection.execute(f"select ({DEMO}), ({SAMPLE})").fetchone()

        def row(number):
            ms, tail = start_ms + number * APART_MS, hashlib.md5(b"%d" % number).digest()
            low = bytes([0x70 | tail[0] >> 4, tail[1], 0x80 | tail[2] >> 4, *tail[3:10]])
            return ms.to_bytes(6, "big") + low, client, ms * 1000, ms * 1000, snapshot

        for first in range(0, rows, CHUNK):
            connection.executemany(f"{COLUMNS} values (?, ?, 'placed', 1, ?, ?, ?)",
                                   map(row, range(first, min(first + CHUNK, rows))))
            connection.commit()
        connection.execute("pragma wal_checkpoint(truncate)")


def page(port, cursor):
    """Milliseconds of the median page, one request at a time."""
    query = f"/api/order?limit=20{f'&cursor={cursor}' if cursor else ''}"
    output = subprocess.run(
        ["wrk", "-t1", "-c1", f"-d{min(SECONDS, 3)}", "-H", "api_key: apitest", "-s", f"{HERE}/load.lua",
         f"http://127.0.0.1:{port}{query}"],
        env={**os.environ, "KIND": "get"}, capture_output=True, text=True, check=True).stdout
    _, p50, _, errors, _ = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+) (\S+)", output).groups()
    if int(errors):
        raise SystemExit(f"{query}: {errors} requests failed")
    return float(p50)


def filled_shop(folder, rows):
    """URLs, ports and the cursor before the oldest page, with so many orders stored."""
    urls = shop(folder, f"growth_{rows}")
    ports = {name: start_api(url, f"{folder}/{name}-{rows}.log")[0] for name, url in urls.items()}
    for port in ports.values():
        load(port, "/api/order", "plain", 0, connections=1, seconds=1)
    start_ms = int(time.time() * 1000) - 60_000 - rows * APART_MS
    begun = time.time()
    file = urls["SQLite"].removeprefix("sqlite://")
    if rows:
        fill_postgres(urls["PostgreSQL"], rows, start_ms)
        print(f"{rows} orders in PostgreSQL after {time.time() - begun:.0f} s", file=sys.stderr)
        fill_sqlite(file, rows, start_ms)
        sizes = int(psql(urls["PostgreSQL"], "select pg_database_size(current_database())")), os.path.getsize(file)
        print(f"and in SQLite after {time.time() - begun:.0f} s; bytes: {sizes}", file=sys.stderr)
    oldest = "select {} from orders where client_id = (" + DEMO + ") order by id limit 1 offset 20"
    with sqlite3.connect(file) as connection:
        cursors = {"PostgreSQL": psql(urls["PostgreSQL"], oldest.format("replace(id::text, '-', '')")),
                   "SQLite": connection.execute(oldest.format("lower(hex(id))")).fetchone()[0]}
    return ports, cursors


def growth(folder):
    needed, free = sum(ROWS) * BYTES_EACH + BYTES_BESIDE, shutil.disk_usage(folder).free
    if needed > free:
        raise SystemExit(f"{needed >> 30} GiB of disk needed, {free >> 30} GiB are free: set BENCH_GROWTH_ROWS")
    shops = {rows: filled_shop(folder, rows) for rows in ROWS}
    contenders = [(engine, rows) for engine in ("PostgreSQL", "SQLite") for rows in ROWS]

    def measure(engine, rows):
        ports, cursors = shops[rows]
        newest, oldest = page(ports[engine], None), page(ports[engine], cursors[engine])
        return load(ports[engine], "/api/order", "plain", 0)[0], newest, oldest

    results = rounds({contender: lambda _, contender=contender: measure(*contender) for contender in contenders})
    print("| database | stored before | orders/s | ratio to the first (median of rounds) | first page, ms | oldest page, ms "
          "| ratio of pages |")
    print("|---|---|---|---|---|---|---|")
    for engine, rows in contenders:
        result, base = results[engine, rows], results[engine, ROWS[0]]
        rate, newest, oldest = (statistics.median(column) for column in zip(*result))
        ratio = statistics.median(r[0] / b[0] for r, b in zip(result, base))
        pages = statistics.median(r[2] / r[1] for r in result)
        print(f"| {engine} | {rows:,} | {rate:,.0f} | {ratio:.2f} | {newest:.2f} | {oldest:.2f} | {pages:.2f} |")
