#!/usr/bin/env python3
"""Compares the CPU time that an order takes with that of another build, and prints medians of ratios.

Usage: ORDER_FOOD_PROGRAMS=NEW scripts/with-postgres.sh scripts/bench/compare.py OLD [KIND...]

OLD and NEW are folders with the three programs. Each kind (plain, keyed, limited; default: all) is measured on both
engines in turn: the old build, the new one, and the old one once more on a database of its own, which shows what the
noise of the machine makes of two equal builds. BENCH_ROUNDS (20) and BENCH_SECONDS (3) are honoured. With BENCH_TRACED,
the share of the traces that are kept, the spans of each order are counted, too; NEW must have examples/span_sink then.
"""

import os
import re
import statistics
import sys
import tempfile
import urllib.request

os.environ.setdefault("BENCH_ROUNDS", "20")
os.environ.setdefault("BENCH_SECONDS", "3")

from common import (ROUNDS, cpu_seconds, load, postgres_cpu_seconds, shop, start_api, stop_all, traced,
                    write_wal_segments)

KINDS = ("plain", "keyed", "limited")
SHARE = os.environ.get("BENCH_TRACED")


def spans(port):
    """How many the program has sent, or lost, since its start."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as metrics:
        return sum(float(value) for value in re.findall(rb"^trace_spans_total\S* (\S+)", metrics.read(), re.M))


def measure(build, kind, round_number, has_postgres):
    """Microseconds of CPU for an order, of the API and of PostgreSQL, and spans for 1,000 orders."""
    port, api = build
    used = lambda: (cpu_seconds(api.pid) * 1e6, postgres_cpu_seconds() * 1e6 if has_postgres else 0, spans(port) * 1e3)
    before = used()
    *_, requests = load(port, "/api/order", kind, round_number)
    return [(now - was) / requests for now, was in zip(used(), before)]


def compare(engine, builds, kind, first_round):
    samples = {name: [] for name in builds}
    for round_number in range(ROUNDS):
        order = list(builds)[round_number % len(builds):] + list(builds)[:round_number % len(builds)]
        for name in order:
            used = measure(builds[name], kind, first_round + round_number, engine == "PostgreSQL")
            samples[name].append(used)
    parts = {0: "CPU of the API, µs"} | ({1: "CPU of PostgreSQL, µs"} if engine == "PostgreSQL" else {})
    for part, what in (parts | ({2: "spans of 1,000"} if SHARE else {})).items():
        columns = {name: [sample[part] for sample in rows] for name, rows in samples.items()}
        ratio = lambda name: statistics.median(a / b for a, b in zip(columns[name], columns["old"]))
        median = lambda name: statistics.median(columns[name])
        print(f"| {engine}, {kind} | {what} | {median('old'):.1f} | {median('new'):.1f} "
              f"| {ratio('new'):.3f} | {ratio('old again'):.3f} |", flush=True)


def main():
    old, kinds = sys.argv[1], sys.argv[2:] or KINDS
    new = os.environ["ORDER_FOOD_PROGRAMS"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            write_wal_segments()
            folders = {"old": old, "new": new, "old again": old}
            urls = {name: shop(folder, f"bench_{number}") for number, name in enumerate(folders)}
            print("| orders | of each | old | new | new / old (median of pairs) | old again / old |")
            print("|---|---|---|---|---|---|")
            for engine in ("PostgreSQL", "SQLite"):
                settings = traced(SHARE) if SHARE else {}
                builds = {name: start_api(urls[name][engine], f"{folder}/{name}-{engine}.log", settings, programs)
                          for name, programs in folders.items()}
                for number, kind in enumerate(kinds):
                    compare(engine, builds, kind, number * 1000)
        finally:
            stop_all()


if __name__ == "__main__":
    main()
