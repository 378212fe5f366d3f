"""Latency at a given part of capacity, and of a lone order."""

import re
import statistics
import subprocess

from common import CONNECTIONS, SECONDS, pgbench, program, rounds, shop, start_api, write_wal_segments

SHARES = (0.1, 0.5, 0.9)


def open_loop(port, rate, connections=CONNECTIONS):
    """Orders a second, mean, p50, p90, p99, p99.9 and the slowest, in ms; sent as due, or (rate 0) as answers come."""
    command = [program("examples/open_loop"), f"127.0.0.1:{port}", str(rate), str(SECONDS), str(connections)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS + 30).stdout
    _, failures, *figures = re.search(r"RESULT (.*)", output).group(1).split()
    if int(failures):
        raise SystemExit(f"{failures} orders failed")
    return tuple(map(float, figures))


def lone_transaction(url):
    rate, mean, *_ = pgbench(url, clients=1, threads=1)
    return rate, mean


def latency(folder):
    write_wal_segments()
    urls = shop(folder)
    ports = {name: start_api(url, f"{folder}/{name}.log")[0] for name, url in urls.items()}
    # More is due than can be answered: what is answered then is the capacity, with the generator's own part of the CPU.
    excess = {name: 1.2 * open_loop(port, 0)[0] for name, port in ports.items()}
    overload = {name: lambda _, port=port, name=name: open_loop(port, excess[name]) for name, port in ports.items()}
    capacity = {name: statistics.median(result[0] for result in results) for name, results in rounds(overload).items()}
    shares = {
        (name, share): lambda _, port=port, rate=capacity[name] * share: open_loop(port, rate)
        for name, port in ports.items() for share in SHARES
    }
    print("| database | of capacity | orders/s | p50, ms | p90, ms | p99, ms | p99.9, ms | slowest, ms |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, share), results in rounds(shares).items():
        rate, _, *percentiles = (statistics.median(column) for column in zip(*results))
        figures = " | ".join(f"{figure:.2f}" for figure in percentiles)
        print(f"| {name} | {share:.0%} of {capacity[name]:,.0f} | {rate:,.0f} | {figures} |")

    lone = rounds({
        "pgbench": lambda _: lone_transaction(urls["PostgreSQL"]),
        **{name: lambda _, port=port: open_loop(port, 0, connections=1) for name, port in ports.items()},
    })
    print("\nOne at a time, over one connection:\n")
    print("| contender | mean, ms | ratio to pgbench (median of rounds) | over 1.2 × pgbench, ms |")
    print("|---|---|---|---|")
    base = [mean for _, mean in lone["pgbench"]]
    for name, results in lone.items():
        means = [result[1] for result in results]
        ratio = statistics.median(mean / other for mean, other in zip(means, base))
        over = statistics.median(mean - 1.2 * other for mean, other in zip(means, base))
        print(f"| {name} | {statistics.median(means):.3f} | {ratio:.2f} | {'' if name == 'pgbench' else f'{over:+.3f}'} |")
