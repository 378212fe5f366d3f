#!/usr/bin/env python3
"""Measures start-up: milliseconds from starting order-food on a migrated database until /readyz answers 200, and its
resident memory when idle; and how long database-migration takes when there is nothing to do.

Usage: scripts/with-postgres.sh scripts/bench-start.py FOLDER_OF_PROGRAMS [ROUNDS]
"""

import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

programs = os.path.abspath(sys.argv[1])
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(program, environment):
    subprocess.run([os.path.join(programs, program)], env=environment, check=True, stdout=subprocess.DEVNULL)


def start(environment):
    port = free_port()
    started = time.perf_counter()
    process = subprocess.Popen(
        [os.path.join(programs, "order-food")],
        env={**environment, "SERVER_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = started + 10
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return process, (time.perf_counter() - started) * 1000
        except OSError:
            pass
        if time.perf_counter() > deadline:
            raise SystemExit("order-food did not become ready")
        time.sleep(0.001)


def resident_mib(process):
    with open(f"/proc/{process.pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS")


postgres = os.environ["TEST_POSTGRES_URL"]
with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["psql", "-qX", postgres, "-c", "create database bench_start"], check=True)
    databases = {
        "SQLite": f"sqlite://{folder}/bench.db",
        "PostgreSQL": postgres.replace("/postgres?", "/bench_start?"),
    }
    print("| database | start to ready, ms (median, max) | idle memory, MiB | migration with nothing to do, ms |")
    print("|---|---|---|---|")
    for name, url in databases.items():
        environment = {"DATABASE_URL": url, "PATH": os.environ["PATH"]}
        run("database-migration", environment)
        run("database-load", environment)
        ready, memory, no_op = [], [], []
        for _ in range(rounds):
            process, milliseconds = start(environment)
            ready.append(milliseconds)
            time.sleep(1)
            memory.append(resident_mib(process))
            process.terminate()
            process.wait(10)
            before = time.perf_counter()
            run("database-migration", environment)
            no_op.append((time.perf_counter() - before) * 1000)
        print(
            f"| {name} | {statistics.median(ready):.0f}, {max(ready):.0f} | {statistics.median(memory):.1f} "
            f"| {statistics.median(no_op):.0f} |"
        )
