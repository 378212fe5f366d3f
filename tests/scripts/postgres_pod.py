"""The pod of the chart's PostgreSQL, without containers: each is a process 1 of its own, with a network and a name of its
own, and is killed like one. The server is this machine's."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from machine import wait_until

BIN = Path(os.environ["TEST_POSTGRES_BIN"])
# Clients come from here, as from other pods: not from 127.0.0.1, for which pg_hba.conf has lines of its own.
ADDRESS = "10.99.0.1"
SEPARATE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--uts", "--mount"]
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
SET_UP = """
set -e
ip link set lo up
ip addr add "$ADDRESS/32" dev lo
hostname shop-0
mount --bind "$HOSTS" /etc/hosts
# Sockets of this machine are nobody's here.
mount -t tmpfs tmpfs /run
mkdir /run/postgresql
mount --bind "$RUN" /run/postgresql
exec "$@"
"""
# What the official image does (docker-library/postgres), in the same steps, each of which may be the last. initdb is
# this machine's, or a copy of what it has made.
STEPS = r"""
reached() { if [ "${STOP_AT:-}" = "$1" ]; then : >"$REACHED"; exec sleep 600; fi; }
initialise() {
  mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
  reached folder
  # As initdb does.
  [ -z "$(ls -A "$PGDATA")" ] || { echo "$PGDATA exists but is not empty" >&2; exit 1; }
  case ${STOP_AT:-} in
    folders)
      mkdir "$PGDATA/base" "$PGDATA/global" "$PGDATA/pg_wal"
      reached folders ;;
    initdb:*)
      initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" >/dev/null 2>&1 &
      until [ -e "$PGDATA/${STOP_AT#*:}" ]; do :; done
      kill -STOP "$!"
      reached "$STOP_AT" ;;
  esac
  cp -a "$INITDB/." "$PGDATA"
  reached initdb
  printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  reached pg_hba
  pg_ctl -D "$PGDATA" -o "-k /var/run/postgresql -c listen_addresses=" -w start >/dev/null
  reached server
  if [ "${STOP_AT:-}" = creating ]; then
    # What a creation that was cut short leaves: its folder, and no database.
    cp -a "$PGDATA/base/1" "$PGDATA/base/16384"
    reached creating
  fi
  psql -qX -h /var/run/postgresql -U "$POSTGRES_USER" -c "create database $POSTGRES_DB" postgres
  reached created
  pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
  reached stopped
}
"""
ENTRYPOINT = f"""#!/bin/sh
set -e
{STEPS}
if [ ! -s "$PGDATA/PG_VERSION" ]; then initialise; fi
exec postgres -D "$PGDATA" -k /var/run/postgresql -c 'listen_addresses=*' -c fsync=off "$@"
"""
ENSURE = f"""#!/bin/sh
set -e
{STEPS}
if [ ! -s "$PGDATA/PG_VERSION" ]; then initialise; fi
"""


def expanded(text: str, environment: dict[str, str]) -> str:
    """What Kubernetes makes of an argument: $(NAME) is a variable's value, and a double dollar is one."""
    return re.sub(r"\$(\$|\(([^)]*)\))", lambda found: "$" if found[1] == "$" else environment.get(found[2], found[0]), text)


class Pod:
    """Its volume, which outlives it, and its containers."""

    def __init__(self, folder: Path, initdb: Path, objects: list[dict], official: bool = True) -> None:
        self.volume, self.run, tools = (folder / name for name in ("volume", "run", "tools"))
        for each in (self.volume, self.run, tools):
            each.mkdir()
        for each in (folder, self.volume, self.run):
            shutil.chown(each, "postgres", "postgres")
        self.data, self.aside = self.volume / "pgdata", self.volume / "pgdata.half-made"
        self.entrypoint = tools / "entrypoint.sh"
        self.entrypoint.write_text(ENTRYPOINT)
        if official:
            (tools / "docker-ensure-initdb.sh").write_text(ENSURE)
        for each in tools.iterdir():
            each.chmod(0o755)
        self.tools = tools
        self.hosts, self.reached, self.password = folder / "hosts", folder / "reached", folder / "password"
        self.hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} shop-0\n")
        self.password.write_text("demo-password")
        [self.spec] = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "StatefulSet"]
        [self.prepare_data], [self.server] = self.spec["initContainers"], self.spec["containers"]
        self.log = folder / "log"
        self.running: subprocess.Popen | None = None
        self.initdb = initdb

    def environment(self, container: dict, **more: str) -> dict[str, str]:
        """The container's, with places of this machine in place of those that are mounted."""
        given = {each["name"]: each["value"] for each in container["env"]}
        return given | {
            "PATH": f"{self.tools}:{BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "PGDATA": str(self.data), "POSTGRES_PASSWORD_FILE": str(self.password),
            "RUN": str(self.run), "INITDB": str(self.initdb), "REACHED": str(self.reached), "HOSTS": str(self.hosts), "ADDRESS": ADDRESS, **more,
        }

    def start(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen:
        """A container with this command."""
        self.reached.unlink(missing_ok=True)
        with self.log.open("w") as log:
            container = subprocess.Popen(
                [*SEPARATE, "sh", "-c", SET_UP, "sh", *AS_POSTGRES, *command], env=environment, stdout=log, stderr=subprocess.STDOUT, cwd="/"
            )
        self.running = container
        wait_until(lambda: container.poll() is not None or self._children(), 10, "a process 1")
        return container

    def prepare(self, stop_at: str = "") -> str:
        """Runs the container that comes before the server, or kills it at a step; what it said."""
        environment = self.environment(self.prepare_data, STOP_AT=stop_at)
        command = self.prepare_data["command"] + [expanded(each, environment) for each in self.prepare_data["args"]]
        self.start(command, environment)
        if stop_at:
            wait_until(self.reached.exists, 20, f"{stop_at}: {self.log.read_text()}")
            self.kill()
        else:
            assert self.running.wait(60) == 0, self.log.read_text()
        return self.log.read_text()

    def serve(self, stop_at: str = "") -> None:
        """Starts the server's container, or kills it at a step of its first start."""
        self.start([str(self.entrypoint), *self.server["args"]], self.environment(self.server, STOP_AT=stop_at))
        if stop_at:
            wait_until(self.reached.exists, 20, f"{stop_at}: {self.log.read_text()}")
            self.kill()

    def _children(self) -> list[str]:
        parent = self.running.pid
        return Path(f"/proc/{parent}/task/{parent}/children").read_text().split()

    def process_1(self) -> str:
        """Its number outside."""
        assert self.running.poll() is None, f"the container has ended: {self.log.read_text()}"
        return self._children()[0]

    def execute(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """A command in the server's container."""
        enter = ["nsenter", "--target", self.process_1(), "--pid", "--net", "--uts", "--mount"]
        return subprocess.run(
            [*enter, *AS_POSTGRES, *command], env=self.environment(self.server, **environment), capture_output=True, text=True, timeout=30, cwd="/"
        )

    def probe(self, name: str, **environment: str) -> subprocess.CompletedProcess:
        """What the kubelet would do."""
        given = self.environment(self.server)
        return self.execute(*(expanded(each, given) for each in self.server[name]["exec"]["command"]), **environment)

    def sql(self, query: str, database: str = "order_food", user: str = "order_food") -> str:
        """As kubectl exec does, through the socket."""
        done = self.execute("psql", "-qAtX", "-h", "/var/run/postgresql", "-U", user, "-c", query, database)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def up(self) -> None:
        """Waits until the server answers, as the kubelet does before it looks for more."""
        wait_until(lambda: self.probe("startupProbe").returncode == 0, 20, f"starts: {self.log.read_text()}")
        # It refuses clients while it recovers.
        wait_until(lambda: self.execute("pg_isready", "-q", "-h", "127.0.0.1").returncode == 0, 20, "accepts connections")

    def kill(self) -> None:
        """As when memory runs out, or the node."""
        if self.running and self.running.poll() is None:
            os.kill(int(self.process_1()), signal.SIGKILL)
            self.running.wait(20)
        self.running = None
