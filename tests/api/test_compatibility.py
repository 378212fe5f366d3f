"""docs/openapi.yaml breaks no client of the last release; and the check finds what it is there to find."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable

import pytest
import yaml
from compatibility import breaks
from server import DOCUMENT, REPOSITORY

FILE = str(DOCUMENT.relative_to(REPOSITORY))


def git(*arguments: str) -> str | None:
    """What git says; nothing if it says no."""
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=30)
    return done.stdout.strip() if done.returncode == 0 else None


def last_version() -> tuple[str, str] | None:
    """The last release's document, or while there is no release that of before its last change; and where it is from."""
    assert git("rev-parse", "--is-shallow-repository") == "false", "the history is cut off: git fetch --unshallow --tags"
    # A tag of this very commit is this release, not the last one.
    tag = git("describe", "--tags", "--match", "v[0-9]*", "--abbrev=0", "HEAD^")
    if tag and (text := git("show", f"{tag}:{FILE}")):
        return tag, text
    if git("diff", "--quiet", "HEAD", "--", FILE) is None and (text := git("show", f"HEAD:{FILE}")):
        return "HEAD", text
    commit = git("log", "-1", "--format=%H", "--", FILE)
    if commit and (text := git("show", f"{commit}^:{FILE}")):
        return f"{commit[:12]}^", text
    return None


def test_clients_of_the_last_version_get_along(document: dict) -> None:
    found = last_version()
    if found is None:
        assert git("log", "--format=%H", "--", FILE) is not None, "this needs the repository's history, with git"
        return  # ok: the document is new, nobody has a client for another
    where, text = found
    broken = breaks(yaml.safe_load(text), document)
    assert not broken, f"clients made for {where} break (docs/api.md, What will not change):\n" + "\n".join(broken)


SMALL = yaml.safe_load("""
openapi: 3.1.0
paths:
  /order:
    post:
      operationId: place
      tags: [order]
      security: [{key: []}, {other: []}]
      parameters:
        - {name: Idempotency-Key, in: header, schema: {type: string, pattern: "^x"}}
        - {name: cursor, in: query, schema: {type: string, pattern: "^[0-9a-f]*$"}}
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100}}
      requestBody:
        content:
          application/json: {schema: {$ref: "#/components/schemas/Cart"}}
      responses:
        "200":
          headers: {ETag: {schema: {type: string}}}
          content:
            application/json: {schema: {$ref: "#/components/schemas/Order"}}
        "422":
          content:
            application/json:
              schema:
                allOf:
                  - {$ref: "#/components/schemas/Error"}
                  - {type: object, properties: {reason: {type: string, enum: [one, two]}}}
components:
  schemas:
    Cart:
      type: object
      required: [items]
      properties:
        items: {type: array, minItems: 1, maxItems: 9, items: {type: string, enum: [a, b]}}
        code: {type: [string, "null"]}
    Order:
      type: object
      required: [id]
      properties:
        id: {type: string, format: uuid}
        kind: {type: string, enum: [x, y]}
        status: {type: string, enum: [placed]}
        parent: {$ref: "#/components/schemas/Order"}
    Error:
      type: object
      required: [reason]
      properties: {reason: {type: string}}
""")


def edited(edit: Callable[[dict, dict], object]) -> dict:
    """The small document after a change of its operation or its schemas."""
    document = copy.deepcopy(SMALL)
    edit(document["paths"]["/order"]["post"], document["components"]["schemas"])
    return document


def reasons_of(operation: dict) -> dict:
    return operation["responses"]["422"]["content"]["application/json"]["schema"]["allOf"][1]["properties"]["reason"]


BREAKING: dict[str, Callable[[dict, dict], object]] = {
    "POST /order: operationId is another": lambda op, _: op.update(operationId="order"),
    "POST /order: tags is another": lambda op, _: op.update(tags=["orders"]),
    "POST /order: the parameter limit is gone": lambda op, _: op["parameters"].pop(),
    "POST /order: the parameter limit is required now": lambda op, _: op["parameters"][2].update(required=True),
    "POST /order: the parameter page is required now": lambda op, _: op["parameters"].append(
        {"name": "page", "in": "query", "required": True, "schema": {}}
    ),
    "POST /order: parameter limit: maximum is another": lambda op, _: op["parameters"][2]["schema"].update(maximum=50),
    "POST /order: parameter idempotency-key: pattern is another": lambda op, _: op["parameters"][0]["schema"].update(pattern="^y"),
    "POST /order: a key as other is not enough now": lambda op, _: op["security"].pop(),
    "POST /order: a body is required now": lambda op, _: op["requestBody"].update(required=True),
    "POST /order: bodies may not be application/json now": lambda op, _: op["requestBody"]["content"].clear(),
    "POST /order: body/code: is not always there": lambda _, schemas: schemas["Cart"]["required"].append("code"),
    "POST /order: body/code: is gone": lambda _, schemas: schemas["Cart"]["properties"].pop("code"),
    "POST /order: body/code: the type is another": lambda _, schemas: schemas["Cart"]["properties"]["code"].update(type="string"),
    "POST /order: body/items: minItems is another": lambda _, schemas: schemas["Cart"]["properties"]["items"].update(minItems=2),
    "POST /order: body/items: maxItems is another": lambda _, schemas: schemas["Cart"]["properties"]["items"].update(maxItems=8),
    "POST /order: body/items[]: 'b' is not in the list of values on the other side": lambda _, schemas: schemas["Cart"]["properties"][
        "items"
    ]["items"].update(enum=["a"]),
    "POST /order: body: more members are refused": lambda _, schemas: schemas["Cart"].update(additionalProperties=False),
    "POST /order: 200 is gone": lambda op, _: op["responses"].pop("200"),
    "POST /order: 200: the header ETag is gone": lambda op, _: op["responses"]["200"]["headers"].clear(),
    "POST /order: 200: application/json is gone": lambda op, _: op["responses"]["200"]["content"].clear(),
    "POST /order: 200: answer/id: is not always there": lambda _, schemas: schemas["Order"]["required"].clear(),
    "POST /order: 200: answer/kind: is gone": lambda _, schemas: schemas["Order"]["properties"].pop("kind"),
    "POST /order: 200: answer/id: format is another": lambda _, schemas: schemas["Order"]["properties"]["id"].pop("format"),
    "POST /order: 200: answer/id: the type is another": lambda _, schemas: schemas["Order"]["properties"]["id"].update(
        type=["string", "null"]
    ),
    "POST /order: 200: answer/kind: 'z' is not in the list of values on the other side": lambda _, schemas: schemas["Order"]["properties"][
        "kind"
    ]["enum"].append("z"),
    "POST /order: 422: answer/reason: is not always there": lambda _, schemas: schemas["Error"]["required"].clear(),
}
HARMLESS: dict[str, Callable[[dict, dict], object]] = {
    "nothing": lambda *_: None,
    "new optional parameter": lambda op, _: op["parameters"].append({"name": "page", "in": "query", "schema": {"type": "string"}}),
    "wider parameter": lambda op, _: op["parameters"][2]["schema"].update(maximum=1000),
    "parameter without pattern": lambda op, _: op["parameters"][0]["schema"].pop("pattern"),
    "another form of cursors": lambda op, _: op["parameters"][1]["schema"].update(pattern="^[a-z]*$"),
    "new way to be let in": lambda op, _: op["security"].append({"third": []}),
    "no key needed": lambda op, _: op.update(security=[]),
    "new optional member of a request": lambda _, schemas: schemas["Cart"]["properties"].update(note={"type": "string"}),
    "member of a request that need not be": lambda _, schemas: schemas["Cart"]["required"].clear(),
    "more lines": lambda _, schemas: schemas["Cart"]["properties"]["items"].update(maxItems=10),
    "new value in a request": lambda _, schemas: schemas["Cart"]["properties"]["items"]["items"]["enum"].append("c"),
    "new member of an answer": lambda _, schemas: schemas["Order"]["properties"].update(note={"type": "string"}),
    "member that is always there": lambda _, schemas: schemas["Order"]["required"].append("kind"),
    "value that no answer has any more": lambda _, schemas: schemas["Order"]["properties"]["kind"]["enum"].pop(),
    "new status of an order": lambda _, schemas: schemas["Order"]["properties"]["status"]["enum"].append("ready"),
    "new reason": lambda op, _: reasons_of(op)["enum"].append("three"),
    "no such error any more": lambda op, _: op["responses"].pop("422"),
    "new error": lambda op, _: op["responses"].update({"409": {"description": "?"}}),
    "new schema": lambda _, schemas: schemas.update(More={}),
}


@pytest.mark.parametrize("expected", BREAKING)
def test_what_breaks_clients_is_found(expected: str) -> None:
    assert expected in breaks(SMALL, edited(BREAKING[expected]))


@pytest.mark.parametrize("change", HARMLESS)
def test_what_breaks_nobody_is_let_through(change: str) -> None:
    assert breaks(SMALL, edited(HARMLESS[change])) == []


def test_the_document_gets_along_with_itself(document: dict) -> None:
    assert breaks(document, document) == []


def test_operations_and_schemas_that_go_are_found() -> None:
    assert breaks(SMALL, {**SMALL, "paths": {}}) == ["POST /order is gone"]
    without = copy.deepcopy(SMALL)
    schemas = without["components"]["schemas"]
    schemas["Basket"] = schemas.pop("Cart")
    without["paths"]["/order"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"] = "#/components/schemas/Basket"
    assert breaks(SMALL, without) == ["the schema Cart is gone"]
