"""Every alert has its runbook, and the commands in it run. Those for a cluster are tested with the chart."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from promql import scraped, selectors, unknown
from rules import REPOSITORY, RUNBOOKS, alerts
from runbooks import commands, pages, sections
from stack import INSTALLATIONS, Stack, wait_until

SECTIONS = ["Symptoms", "Possible causes", "Investigation", "Resolution", "Escalation"]
each_page = pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert [page.stem for page in pages()] == sorted({alert["alert"] for alert in alerts()})


def test_the_first_page_lists_them_all() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert sorted(set(listed)) == sorted({(alert["alert"], alert["alert"], alert["labels"]["severity"]) for alert in alerts()})


def test_other_pages_count_and_name_them_all() -> None:
    names = {alert["alert"] for alert in alerts()}
    assert int(re.search(r"with (\d+) alerts", (REPOSITORY / "README.md").read_text())[1]) == len(names)
    text = (REPOSITORY / "docs/requirements.md").read_text()
    assert [name for name in sorted(names) if f"`{name}`" not in text and "Burn" not in name] == []


@each_page
def test_a_runbook_is_complete(page: object) -> None:
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n")
    found = sections(text)
    assert list(found) == SECTIONS
    assert all(body.strip() for body in found.values())
    assert len(commands(found["Investigation"])) >= 2


@each_page
def test_links_lead_somewhere(page: object) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target


def local(page: object) -> list[str]:
    """What can be typed beside the local stack, of what only looks."""
    return [command for command in commands(sections(page.read_text())["Investigation"]) if not re.match("kubectl|helm", command)]


def asked(command: str) -> list[str]:
    """The query of a command."""
    return re.findall(r'^promtool query.*? \$PROMETHEUS "(.*)"$', command)


@each_page
def test_queries_ask_for_what_exists(page: object, metrics: str) -> None:
    live = scraped(metrics)
    for command in commands(page.read_text()):
        for expression in asked(command):
            assert unknown(expression, live) == [], expression


@each_page
def test_commands_that_only_look_run(page: object, stack: Stack, shop: object, metrics: str) -> None:
    wait_until(lambda: len(stack.query("rate(ready[5s])")) == len(INSTALLATIONS), 20, "Prometheus scrapes the API")
    addresses = {"API": shop.api.url, "SHOP": shop.api.url, "API_KEY": "apitest", "PROMETHEUS": stack.url, "ALERTMANAGER": stack.alertmanager_url}
    ours = set(scraped(metrics)) | {"up"}
    for command in local(page):
        assert re.match(r"(curl|promtool query|amtool) ", command), f"is it for the cluster? {command}"
        said = []
        for name, namespace in INSTALLATIONS:
            environment = {"PATH": os.environ["PATH"], "NAME": name, "NAMESPACE": namespace, **addresses}
            done = subprocess.run(["bash", "-uc", command], env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            said.append(done.stdout.strip())
        # Where customers were, what the API says of itself is not empty; errors, and what is of a cluster, may be.
        if '$PROMETHEUS "ready' in command or command.startswith("curl"):
            assert all(said), command
        # Another release has the same to say, unless rules record it.
        if said[0] and all(metric in ours for query in asked(command) for metric, _ in selectors(query)):
            assert all(said), command


@each_page
def test_sql_runs(page: object, shop: object) -> None:
    """What is typed into the pod of PostgreSQL. What changes something is taken back."""
    for command in commands(page.read_text()):
        statements = re.findall(r'--command "(.*?)"(?= --command|$)', command) if " psql " in command else []
        assert bool(statements) is (" psql " in command), command
        for statement in statements:
            shop.sql(statement)
            for setting in re.findall(r"^alter system set (\w+)", statement):
                shop.sql(f"alter system reset {setting}", "postgres")
                shop.sql("select pg_reload_conf()", "postgres")


def test_the_first_page_leads_to_the_local_stack(stack: Stack) -> None:
    text = (RUNBOOKS / "README.md").read_text()
    [silence] = [command for command in commands(text) if command.startswith("amtool")]
    done = subprocess.run(
        ["bash", "-c", silence], env={"PATH": os.environ["PATH"], "HOME": "/", "ALERTMANAGER": stack.alertmanager_url}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    identity = done.stdout.strip()
    subprocess.run(["amtool", "--alertmanager.url", stack.alertmanager_url, "silence", "expire", identity], check=True, timeout=30)
