"""What the document says, with its references followed."""

from __future__ import annotations

from collections.abc import Iterator

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")


def resolve(document: dict, node: object) -> dict:
    """The node itself, or what it refers to."""
    while isinstance(node, dict) and "$ref" in node:
        # Members beside a reference, such as a description, add to it.
        beside = {name: value for name, value in node.items() if name != "$ref"}
        target: object = document
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name.replace("~1", "/").replace("~0", "~")]  # type: ignore[index]
        node = {**target, **beside}  # type: ignore[dict-item]
    return node if isinstance(node, dict) else {}


def operations(document: dict) -> Iterator[tuple[str, dict, dict]]:
    """Method and path, operation, and the path's item."""
    for path, item in document.get("paths", {}).items():
        item = resolve(document, item)
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method], item


def reasons_by_status(document: dict) -> set[tuple[str, str]]:
    """Status and reason of every error of every operation."""
    return {
        (status, reason)
        for _, operation, _ in operations(document)
        for status, response in operation["responses"].items()
        for reason in resolve(document, response).get("x-reasons", [])
    }
