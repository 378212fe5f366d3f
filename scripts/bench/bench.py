#!/usr/bin/env python3
"""Runs contenders in turn, several rounds, and prints medians and ratios. Started by scripts/bench.sh."""

import os
import platform
import sys
import tempfile
import time
import urllib.request

from common import (CONNECTIONS, ROUNDS, SECONDS, free_port, load, pgbench, program, resident_mib, rounds, shop, start,
                    start_api, stop_all, table, traced, with_cpu, write_wal_segments)
from growth import growth
from latency import latency


def orders(folder):
    write_wal_segments()
    urls = shop(folder)
    apis = {name: start_api(url, f"{folder}/{name}.log") for name, url in urls.items()}
    usual_port = free_port()
    usual = start([program("examples/one_transaction"), f"127.0.0.1:{usual_port}", urls["PostgreSQL"]], usual_port,
                  dict(os.environ), f"{folder}/usual.log")
    contenders = {"pgbench": with_cpu(lambda _: pgbench(urls["PostgreSQL"]), has_postgres=True)}
    for name, (port, api) in apis.items():
        for kind, what in (("plain", ""), ("keyed", ", a fresh Idempotency-Key each"), ("limited", ", a limited promotion")):
            run = lambda n, port=port, kind=kind: load(port, "/api/order", kind, n)
            contenders[f"{name}{what}"] = with_cpu(run, api, has_postgres=name == "PostgreSQL")
    contenders["one transaction per order"] = with_cpu(
        lambda n: load(usual_port, "/api/order", "plain", n), usual, has_postgres=True)
    results = rounds(contenders)
    table(results, "pgbench", "orders")
    print()
    for name, (_, api) in apis.items():
        print(f"Resident memory of the API on {name} after that: {resident_mib(api):.0f} MiB.")


def menu(folder):
    urls = shop(folder)
    port, api = start_api(urls["SQLite"], f"{folder}/api.log")
    with open(f"{folder}/menu.json", "wb") as out:
        out.write(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/product").read())
    bare_port = free_port()
    bare = start([program("examples/bare_handler"), f"127.0.0.1:{bare_port}", f"{folder}/menu.json"], bare_port,
                 dict(os.environ), f"{folder}/bare.log")
    table(rounds({
        "bare handler": with_cpu(lambda n: load(bare_port, "/", "get", n), bare),
        "GET /api/product": with_cpu(lambda n: load(port, "/api/product", "get", n), api),
    }), "bare handler", "requests")


def telemetry(folder):
    """The same server with more and more to say; each on a database of its own."""
    settings = {
        "nothing but the log": {"ENABLE_METRICS": "false"},
        "metrics": {},
        "metrics, every trace sampled out": traced(0),
        "metrics, 1 % of traces": traced(0.01),
        "metrics, every trace": traced(1),
    }
    apis = {}
    for number, (name, values) in enumerate(settings.items()):
        urls = shop(folder, f"telemetry{number}")
        apis[name] = start_api(urls["SQLite"], f"{folder}/{number}.log", values)
    for path, kind, unit in (("/api/product", "get", "requests"), ("/api/order", "plain", "orders")):
        print(f"\n`{path}`:\n")
        table(rounds({
            name: with_cpu(lambda n, port=port, path=path, kind=kind: load(port, path, kind, n), api)
            for name, (port, api) in apis.items()
        }), "nothing but the log", unit)
    every, api = apis["metrics, every trace"]
    samples = urllib.request.urlopen(f"http://127.0.0.1:{every}/metrics").read().decode().splitlines()
    spans = dict(line.rsplit(" ", 1) for line in samples if line.startswith("trace_spans_total"))
    print("\nSpans of the last one: " + ", ".join(f"{int(count):,} {name.split(chr(34))[1]}" for name, count in sorted(spans.items()))
          + f"; its resident memory after that: {resident_mib(api):.0f} MiB.")


print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
      f"{ROUNDS} interleaved rounds of {SECONDS} s, {CONNECTIONS} connections.\n")
with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as temporary:
    try:
        {"orders": orders, "menu": menu, "growth": growth, "latency": latency, "telemetry": telemetry}[sys.argv[1]](temporary)
    finally:
        stop_all()
