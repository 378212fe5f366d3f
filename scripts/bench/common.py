"""What the benchmarks share: a shop on each engine, servers, load, rounds and tables."""

import os
import re
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from functools import cache

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.environ["ORDER_FOOD_PROGRAMS"]
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "")
POSTGRES_BIN = os.environ.get("TEST_POSTGRES_BIN", "")
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CONNECTIONS = 64
NOTHING = float("nan")

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


@cache
def collector():
    """The endpoint of a collector that throws spans away."""
    port = free_port()
    start([program("examples/span_sink"), f"127.0.0.1:{port}"], port, {}, os.devnull)
    return f"http://127.0.0.1:{port}"


def traced(share):
    """Settings to send that share of all traces."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector(), "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": str(share)}


def start_api(url, log, settings=None, programs=PROGRAMS):
    """With everything on, 1 % of traces included, unless settings say otherwise."""
    port = free_port()
    settings = traced(0.01) if settings is None else settings
    environment = {"DATABASE_URL": url, "SERVER_PORT": str(port), "LOG_FORMAT": "json", **settings}
    return port, start([os.path.join(programs, "order-food")], port, environment, log)


def stop_all():
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(30)


def load(port, path, kind, round_number, connections=CONNECTIONS, seconds=SECONDS):
    """Requests a second, p50 and p99 in ms, number of requests; as fast as answers come."""
    environment = {**os.environ, "KIND": kind, "ROUND": str(round_number)}
    output = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", f"{HERE}/load.lua", f"http://127.0.0.1:{port}{path}"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout
    rate, p50, p99, errors, requests = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+) (\S+)", output).groups()
    if int(errors):
        raise SystemExit(f"{kind}: {errors} requests failed")
    return float(rate), float(p50), float(p99), int(requests)


def pgbench(url, clients=32, threads=2):
    output = subprocess.run(
        [f"{POSTGRES_BIN}/pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", str(threads), "-T", str(SECONDS),
         "-f", f"{HERE}/pgbench.sql", url], capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"tps = ([\d.]+)", output).group(1))
    return rate, clients / rate * 1000, NOTHING, int(re.search(r"actually processed: (\d+)", output).group(1))


def resident_mib(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))


def psql(url, sql):
    command = [f"{POSTGRES_BIN}/psql", "-qXAt", "-v", "ON_ERROR_STOP=1", url, "-c", sql]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def stat(pid):
    """The fields of /proc/PID/stat from the third on: the second may hold anything."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


@cache
def postmaster():
    checkpointer = psql(POSTGRES, "select pid from pg_stat_activity where backend_type = 'checkpointer'")
    return int(stat(checkpointer)[1])


def cpu_seconds(pid):
    return sum(map(int, stat(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


def postgres_cpu_seconds():
    """Of all server processes: those that live, and through their parent those that have ended."""
    total = sum(map(int, stat(postmaster())[11:15])) / os.sysconf("SC_CLK_TCK")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(stat(pid)[1]) == postmaster():
                total += cpu_seconds(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass  # ended meanwhile
    return total


def with_cpu(run, api=None, has_postgres=False):
    """Adds microseconds of CPU a request: of the API, and of the database server."""
    def measured(round_number):
        clocks = (lambda: cpu_seconds(api.pid)) if api else None, postgres_cpu_seconds if has_postgres else None
        before = [clock and clock() for clock in clocks]
        *result, requests = run(round_number)
        used = [(clock() - was) / requests * 1e6 if clock else NOTHING for clock, was in zip(clocks, before)]
        return (*result, *used)
    return measured


def rounds(contenders):
    results = {name: [] for name in contenders}
    for round_number in range(ROUNDS):
        # There and back: nobody always comes after the same other one.
        for name, run in list(contenders.items())[::-1 if round_number % 2 else 1]:
            results[name].append(run(round_number))
            print(f"round {round_number + 1}: {name}: {results[name][-1][0]:.1f}", file=sys.stderr)
    return results


def number(value, form):
    return "" if value != value else format(value, form)


def table(results, base, unit):
    base_rates = [result[0] for result in results[base]]
    print(f"| contender | {unit}/s | p50, ms | p99, ms | CPU of it, µs each | of PostgreSQL, µs each "
          f"| ratio to {base} (median of rounds) |")
    print("|---|---|---|---|---|---|---|")
    for name, result in results.items():
        rate, p50, p99, api, database = (statistics.median(column) for column in zip(*result))
        ratio = statistics.median(r[0] / b for r, b in zip(result, base_rates))
        print(f"| {name} | {rate:,.0f} | {p50:.2f} | {number(p99, '.2f')} | {number(api, '.1f')} "
              f"| {number(database, '.1f')} | {ratio:.2f} |")


def write_wal_segments():
    """A server that has run for a while writes over old WAL segments; a fresh one fills each new one with zeros first."""
    psql(POSTGRES, "alter system set min_wal_size = '2GB'")
    psql(POSTGRES, "select pg_reload_conf()")
    psql(POSTGRES, "create table filler (content text)")
    psql(POSTGRES, "alter table filler alter content set storage external")
    psql(POSTGRES, "insert into filler select repeat('x', 8000) from generate_series(1, 230000)")
    psql(POSTGRES, "drop table filler")
    psql(POSTGRES, "checkpoint")


def shop(folder, name="bench"):
    """A database on each engine, with the tables of pgbench, the sample data and a limited promotion."""
    psql(POSTGRES, f"create database {name}")
    url = POSTGRES.replace("/postgres?", f"/{name}?")
    with open(f"{HERE}/pgbench-tables.sql") as tables:
        psql(url, tables.read())
    urls = {"PostgreSQL": url, "SQLite": f"sqlite://{folder}/{name}.db"}
    promotion = ("insert into promotions (code, kind, value, min_items, min_subtotal_cents, max_uses, active, source, "
                 "created_at, updated_at) values ('BENCH', 'percentage', 1000, 0, 0, 1000000000, {}, 'api', 0, 0)")
    for url in urls.values():
        environment = {"DATABASE_URL": url, "LOG_FORMAT": "json"}
        for job in ("database-migration", "database-load"):
            subprocess.run([program(job)], env=environment, check=True, stdout=subprocess.DEVNULL)
    psql(urls["PostgreSQL"], promotion.format("true"))
    with sqlite3.connect(f"{folder}/{name}.db") as connection:
        connection.execute(promotion.format("1"))
    return urls
