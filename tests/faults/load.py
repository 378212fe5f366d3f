"""Load that is too much for Python: wrk. Nobody writes down what it is told but for the sums."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from pathlib import Path

from client import OTHER_KEY, percentile


async def wrk(port: int, seconds: float, connections: int, path: str = "/api/order", keyed: bool = False, pause: float = 0.0) -> dict:
    """Sends requests as fast as answers come, or with a pause before each; rate, latencies in seconds,
    how often which status came, and of each thousandth of the latencies one."""
    process = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--timeout", "3s",
        "-s", str(Path(__file__).with_name("load.lua")), f"http://127.0.0.1:{port}{path}",
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "API_KEY": OTHER_KEY, "KEYED": "yes" if keyed else "", "KEY_PREFIX": f"{uuid.uuid4().hex}-", "PAUSE": str(pause * 1000)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        raise
    result = next((line for line in out.decode().splitlines() if line.startswith("RESULT ")), None)
    assert result, f"wrk: {out.decode()} {err.decode()}"
    return json.loads(result.removeprefix("RESULT "))


def p99(loads: list[dict]) -> float:
    """Of all latencies of several loads; seldom answers that take long are in some of them and not in others."""
    return percentile([each for load in loads for each in load["sample"]], 0.99)
