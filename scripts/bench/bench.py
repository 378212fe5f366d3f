#!/usr/bin/env python3
"""Runs contenders in turn, several rounds, and prints medians and ratios. Started by scripts/bench.sh."""

import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.environ["ORDER_FOOD_PROGRAMS"]
POSTGRES = os.environ["TEST_POSTGRES_URL"]
POSTGRES_BIN = os.environ["TEST_POSTGRES_BIN"]
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CONNECTIONS = 64

processes = []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name):
    return os.path.join(PROGRAMS, name)


def start(command, port, environment, log):
    with open(log, "wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.DEVNULL)
    processes.append(process)
    deadline = time.time() + 10
    while time.time() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(0.5)
                return process
        time.sleep(0.02)
    raise SystemExit(f"{command[0]} did not start")


def load(port, path, kind, round_number):
    environment = {**os.environ, "KIND": kind, "ROUND": str(round_number)}
    output = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "-s", f"{HERE}/load.lua", f"http://127.0.0.1:{port}{path}"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout
    rate, p50, p99, errors = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+)", output).groups()
    if int(errors):
        raise SystemExit(f"{kind}: {errors} requests failed")
    return float(rate), float(p50), float(p99)


def pgbench(url):
    output = subprocess.run(
        [f"{POSTGRES_BIN}/pgbench", "-n", "-M", "prepared", "-c", "32", "-j", "2", "-T", str(SECONDS),
         "-f", f"{HERE}/pgbench.sql", url], capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"tps = ([\d.]+)", output).group(1))
    return rate, 32 / rate * 1000, float("nan")


def resident_mib(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))


def rounds(contenders):
    results = {name: [] for name in contenders}
    for round_number in range(ROUNDS):
        for name, run in contenders.items():
            results[name].append(run(round_number))
            print(f"round {round_number + 1}: {name}: {results[name][-1][0]:.0f}/s", file=sys.stderr)
    return results


def table(results, base, unit):
    base_rates = [result[0] for result in results[base]]
    print(f"| contender | {unit}/s | p50, ms | p99, ms | ratio to {base} (median of rounds) |")
    print("|---|---|---|---|---|")
    for name, result in results.items():
        rate, p50, p99 = (statistics.median(column) for column in zip(*result))
        ratio = statistics.median(r[0] / b for r, b in zip(result, base_rates))
        print(f"| {name} | {rate:,.0f} | {p50:.2f} | {'' if p99 != p99 else f'{p99:.2f}'} | {ratio:.2f} |")


def shop(folder):
    psql = [f"{POSTGRES_BIN}/psql", "-qX"]
    subprocess.run([*psql, POSTGRES, "-c", "create database bench"], check=True)
    url = POSTGRES.replace("/postgres?", "/bench?")
    subprocess.run([*psql, url, "-f", f"{HERE}/pgbench-tables.sql"], check=True)
    urls = {"PostgreSQL": url, "SQLite": f"sqlite://{folder}/bench.db"}
    promotion = ("insert into promotions (code, kind, value, min_items, min_subtotal_cents, max_uses, active, source, "
                 "created_at, updated_at) values ('BENCH', 'percentage', 1000, 0, 0, 1000000000, {}, 'api', 0, 0)")
    for url in urls.values():
        environment = {"DATABASE_URL": url, "LOG_FORMAT": "json"}
        for name in ("database-migration", "database-load"):
            subprocess.run([program(name)], env=environment, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*psql, urls["PostgreSQL"], "-c", promotion.format("true")], check=True)
    import sqlite3
    with sqlite3.connect(f"{folder}/bench.db") as connection:
        connection.execute(promotion.format("1"))
    return urls


def orders(folder):
    urls = shop(folder)
    ports = {name: free_port() for name in urls}
    apis = {name: start([program("order-food")], ports[name],
                        {"DATABASE_URL": url, "SERVER_PORT": str(ports[name]), "LOG_FORMAT": "json"}, f"{folder}/{name}.log")
            for name, url in urls.items()}
    usual = free_port()
    start([program("examples/one_transaction"), f"127.0.0.1:{usual}", urls["PostgreSQL"]], usual, dict(os.environ),
          f"{folder}/usual.log")
    contenders = {"pgbench": lambda _: pgbench(urls["PostgreSQL"])}
    for name, port in ports.items():
        for kind, what in (("plain", ""), ("keyed", ", a fresh Idempotency-Key each"), ("limited", ", a limited promotion")):
            contenders[f"{name}{what}"] = lambda n, port=port, kind=kind: load(port, "/api/order", kind, n)
    contenders["one transaction per order"] = lambda n: load(usual, "/api/order", "plain", n)
    results = rounds(contenders)
    table(results, "pgbench", "orders")
    print()
    for name, api in apis.items():
        print(f"Resident memory of the API on {name} after that: {resident_mib(api):.0f} MiB.")


def menu(folder):
    urls = shop(folder)
    port, bare = free_port(), free_port()
    start([program("order-food")], port,
          {"DATABASE_URL": urls["SQLite"], "SERVER_PORT": str(port), "LOG_FORMAT": "json"}, f"{folder}/api.log")
    with open(f"{folder}/menu.json", "wb") as out:
        out.write(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/product").read())
    start([program("examples/bare_handler"), f"127.0.0.1:{bare}", f"{folder}/menu.json"], bare, dict(os.environ),
          f"{folder}/bare.log")
    table(rounds({
        "bare handler": lambda n: load(bare, "/", "get", n),
        "GET /api/product": lambda n: load(port, "/api/product", "get", n),
    }), "bare handler", "requests")


print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
      f"{ROUNDS} interleaved rounds of {SECONDS} s, {CONNECTIONS} connections.\n")
with tempfile.TemporaryDirectory() as temporary:
    try:
        {"orders": orders, "menu": menu}[sys.argv[1]](temporary)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)
