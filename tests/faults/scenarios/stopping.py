"""Processes that are told to stop while clients order."""

from __future__ import annotations

import asyncio
import signal
import subprocess

from client import Connection, head
from harness import Run, scenario
from machine import free_port, get, until

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  underscores_in_headers on;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  upstream api {{
    {servers}
    keepalive 64;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      # An order that was sent is not sent again: only connections that fail go to the next server.
      proxy_next_upstream error timeout;
      proxy_connect_timeout 3s;
    }}
  }}
}}
"""


@scenario(7, "stopped in order, behind nginx")
async def stopped(run: Run) -> None:
    await with_many_in_flight(run)
    await rolling_restarts(run)


async def with_many_in_flight(run: Run) -> None:
    """All requests that the process has when it is told to stop are answered."""
    async with run.shop() as shop:
        [api] = shop.apis
        record = shop.record()
        connections = [Connection(api.port) for _ in range(500)]
        await asyncio.gather(*(connection.send(head("GET", "/livez") + b"\r\n", 10) for connection in connections))
        orders = [record.new_order() for _ in connections]
        # While somebody holds the table, all of them wait.
        holder = shop.database.session("begin; lock table orders in access exclusive mode; select pg_sleep(600)")
        await until(
            lambda: shop.database.sql("select 1 from pg_locks where mode = 'AccessExclusiveLock' and granted limit 1"), 5, "the lock"
        )
        sent = [asyncio.create_task(record.attempt(*pair)) for pair in zip(connections, orders, strict=True)]

        async def all_wait() -> bool:
            return await api.metric("http_server_active_requests") >= len(orders)

        await until(all_wait, 1.2, "all requests are under way", 0.01)
        api.signal(signal.SIGTERM)
        run.faults["SIGTERM with 500 in flight"] = 1
        await asyncio.sleep(0.1)
        holder.kill()
        holder.wait()
        attempts = await asyncio.gather(*sent)
        statuses = {each.status for each in attempts}
        run.expect(statuses <= {200, 422}, f"in flight when told to stop: {statuses}")
        run.expect(await api.wait() == 0, f"exit code {api.process.returncode}")
        for connection in connections:
            connection.close()


async def rolling_restarts(run: Run) -> None:
    """Two servers are replaced in turn; no client sees it."""
    async with run.shop(apis=2, SHUTDOWN_DELAY_SECONDS=1) as shop:
        port = free_port()
        servers = "\n    ".join(f"server 127.0.0.1:{api.port} max_fails=0;" for api in shop.apis)
        file = shop.folder / "nginx.conf"
        file.write_text(NGINX.format(folder=shop.folder, port=port, servers=servers))
        nginx = subprocess.Popen(["/usr/sbin/nginx", "-p", shop.folder, "-c", file], stderr=subprocess.DEVNULL)
        try:

            async def serves() -> bool:
                return (await get(port, "/livez", 1))[0] == 200

            await until(serves, 5, "nginx serves")
            async with shop.ordering(16, ports=[port]) as record:
                await asyncio.sleep(0.5)
                for round in range(run.times(3, 10)):
                    api = shop.apis[round % 2]
                    run.expect(await api.stop() == 0, f"exit code {api.process.returncode}")
                    await api.start()
                    run.faults["restarts"] += 1
                await asyncio.sleep(0.5)
            failed = [each for each in record.attempts() if each.status not in (200, 422)]
            run.expect(not failed, f"{len(failed)} requests failed behind the proxy: {failed[:2]}")
        finally:
            nginx.terminate()
            nginx.wait()
