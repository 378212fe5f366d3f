#!/usr/bin/env python3
"""Coupon files of the reference shape: the digest against decompressing alone, and against zcat and sort."""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ISAL, PORTABLE, GENERATE = sys.argv[1:]
SCALE = os.environ.get("BENCH_COUPON_SCALE", "1")
SMALL_SCALE = os.environ.get("BENCH_COUPON_SMALL_SCALE", "0.05")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
EXPECTED = "BIRTHDAY BUYGETON FIFTYOFF FREEZAAA GNULINUX HAPPYHRS OVER9000 SIXTYOFF".split()


def run(command, environment=None):
    """Seconds, CPU seconds, peak MiB and what it printed."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env={**os.environ, **(environment or {})})
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: exit code {process.returncode}\n{output}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output


def files_of(folder):
    return [f"{folder}/couponbase{number}.gz" for number in (1, 2, 3)]


def digest(program, files, budget):
    command = [program, "coupons", "--print", "--memory-budget", budget, *files]

    def contender():
        seconds, cpu, peak, output = run(command)
        if output.split() != EXPECTED:
            raise SystemExit(f"{command} found {output}")
        return seconds, cpu, peak
    return contender


def table(contenders, base):
    results = {name: [] for name in contenders}
    for number in range(ROUNDS):
        for name, contender in contenders.items():
            results[name].append(contender()[:3])
            print(f"round {number + 1}: {name}: {results[name][-1][0]:.1f} s", file=sys.stderr)
    print(f"| contender | s (median) | CPU s | peak, MiB | ratio to {base} (median of rounds) |")
    print("|---|---|---|---|---|")
    for name, result in results.items():
        seconds, cpu, peak = (statistics.median(column) for column in zip(*result))
        ratio = statistics.median(own[0] / other[0] for own, other in zip(result, results[base]))
        print(f"| {name} | {seconds:.2f} | {cpu:.1f} | {peak:.0f} | {ratio:.2f} |")


def full(folder):
    subprocess.run([GENERATE, "--scale", SCALE, folder], check=True)
    files = files_of(folder)
    megabytes = sum(os.path.getsize(file) for file in files) / 1e6
    lines = subprocess.run([PORTABLE, "coupons", "--print", "--json", *files], check=True, capture_output=True,
                           text=True).stdout.split('"lines":')[1].split(",")[0]
    print(f"Three files of the reference shape, {int(lines):,} lines, {megabytes:,.0f} MB of gzip; {ROUNDS} rounds.\n")
    database = {"DATABASE_URL": f"sqlite://{folder}/coupons.db"}
    run([os.path.join(os.path.dirname(PORTABLE), "database-migration")], database)
    run([PORTABLE, "coupons", *files], database)
    two_at_a_time = f"echo {' '.join(files)} | xargs -P2 -n1 sh -c '%s \"$0\" >/dev/null'"
    table({
        "igzip -dc, two at a time": lambda: run(["sh", "-c", two_at_a_time % "igzip -dc"]),
        "sha256sum, two at a time": lambda: run(["sh", "-c", two_at_a_time % "sha256sum"]),
        "digest, ISA-L, 512 MiB": digest(ISAL, files, "512MiB"),
        "digest, ISA-L, 64 MiB": digest(ISAL, files, "64MiB"),
        "digest, zlib-rs, 512 MiB": digest(PORTABLE, files, "512MiB"),
        "the same files loaded again": lambda: run([PORTABLE, "coupons", *files], database),
    }, "igzip -dc, two at a time")


def small(folder):
    subprocess.run([GENERATE, "--scale", SMALL_SCALE, folder], check=True)
    files = files_of(folder)
    print(f"\nThe same at {SMALL_SCALE} of the size, against what one would type: "
          "`for f in …; do zcat $f | LC_ALL=C sort -u; done | LC_ALL=C sort | uniq -d`.\n")
    typed = f"for f in {' '.join(files)}; do zcat $f | LC_ALL=C sort -u; done | LC_ALL=C sort | uniq -d"
    table({
        "zcat and sort": lambda: run(["sh", "-c", typed]),
        "digest, ISA-L, 512 MiB": digest(ISAL, files, "512MiB"),
        "digest, zlib-rs, 512 MiB": digest(PORTABLE, files, "512MiB"),
    }, "zcat and sort")


print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
      f"{subprocess.run(['igzip', '--version'], capture_output=True, text=True).stdout.strip()}.\n")
with tempfile.TemporaryDirectory() as temporary:
    full(temporary)
with tempfile.TemporaryDirectory() as temporary:
    small(temporary)
