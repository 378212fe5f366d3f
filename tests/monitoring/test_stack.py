"""Faults are found, and the right people are told."""

from __future__ import annotations

import json
import time

import pytest
from faults import FAULTS, Shop
from rules import REPOSITORY, alerts
from stack import Stack, wait_until

# What the API, or its absence, is enough for. The others need a cluster.
APPLICATION = {alert["alert"] for alert in alerts() if '{job="order-food"' in alert["expr"] and 'pod!=""' not in alert["expr"]}
# In each run of the tests; the others with --fire-all.
QUICK = ("panics", "no_database")
FIRED: dict[str, dict] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        everything = metafunc.config.getoption("--fire-all")
        chosen = [(fault, names) for fault, names in FAULTS if everything or fault.__name__ in QUICK]
        metafunc.parametrize(("fault", "names"), chosen, ids=[fault.__name__ for fault, _ in chosen])


def test_every_alert_of_the_application_has_a_fault() -> None:
    assert set().union(*(names for _, names in FAULTS)) == APPLICATION


def test_nothing_fires_where_nothing_is_wrong(stack: Stack, shop: Shop) -> None:
    wait_until(lambda: stack.query('ready{job="order-food"} == 1'), 20, "Prometheus scrapes the API")
    for _ in range(10):
        assert shop.api.order() == 200
    # As long as the slowest of the ordinary windows; nothing is to be waited for. ok: absence takes time
    time.sleep(6)
    assert [name for name in APPLICATION if stack.firing(name)] == []


def test_fault(stack: Stack, shop: Shop, fault: object, names: set[str], request: pytest.FixtureRequest) -> None:
    # Menus become old in real seconds.
    names = names if request.config.getoption("--fire-all") else names - {"MenuStale"}
    start = time.monotonic()
    with fault(stack, shop):
        missing = set(names)
        while missing:
            for name in sorted(missing):
                found = stack.firing(name)
                if found:
                    missing.discard(name)
                    FIRED[name] = note(fault.__name__, found, time.monotonic() - start)
            assert time.monotonic() < start + 100, f"{fault.__name__}: {missing} do not fire"
            time.sleep(0.2)
        told = wait_until(lambda: reached(stack, names), 20, "somebody is told")
    for name, receiver in told.items():
        FIRED[name]["told"] = receiver


def test_somebody_is_told_when_it_is_over(stack: Stack) -> None:
    wait_until(lambda: stack.receiver.told("PanicsCaught", "resolved"), 40, "the all-clear")


def note(fault: str, found: list[dict], seconds: float) -> dict:
    """What is recorded of an alert that fires."""
    annotations = [each["annotations"] for each in found]
    for each in annotations:
        # What Prometheus writes where a template is wrong, or a label is missing.
        assert "<error" not in str(each) and "<no value>" not in str(each), each
    severities = sorted({each["labels"]["severity"] for each in found})
    return {"fault": fault, "seconds": round(seconds, 1), "severity": severities, "description": annotations[0]["description"]}


def reached(stack: Stack, names: set[str]) -> dict[str, str]:
    """Who was told of each alert, once all are told or held back by another one that was."""
    told = {name: stack.receiver.told(name) for name in names}
    held_back = stack.held_back()
    told = {name: receiver or ("held back" if name in held_back else None) for name, receiver in told.items()}
    return told if all(told.values()) and any(receiver != "held back" for receiver in told.values()) else {}


@pytest.fixture(scope="module", autouse=True)
def recorded(request: pytest.FixtureRequest) -> object:
    """A file with what fired, where everything was made to."""
    yield
    if request.config.getoption("--fire-all"):
        folder = REPOSITORY / "target"
        folder.mkdir(exist_ok=True)
        (folder / "fired.json").write_text(json.dumps(FIRED, indent=2, sort_keys=True) + "\n")
        for name in sorted(APPLICATION):
            fired = FIRED.get(name)
            print(f"{name:<28}", f"{fired['fault']:<14} {fired['seconds']:>5} s  {fired['told']}" if fired and "told" in fired else "did not fire")
