"""Whether clients of one version of the document get along with another: the rules of docs/api.md, on the document."""

from __future__ import annotations

from openapi import operations, resolve

# Members of answers whose lists of values may grow.
OPEN = {"reason", "status"}
# Parameters that clients only send back as they got them.
OPAQUE = {"cursor"}
# Keywords that allow less the greater, or the smaller, they are.
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
EXACT = ("pattern", "format", "const", "multipleOf", "uniqueItems")


def breaks(old: dict, new: dict) -> list[str]:
    """What of the new document breaks clients that were made for the old one."""
    now = {name: (operation, item) for name, operation, item in operations(new)}
    found = []
    for name, operation, item in operations(old):
        if name not in now:
            found.append(f"{name} is gone")
            continue
        found += [f"{name}: {what}" for what in _operation(old, operation, item, new, *now[name])]
    kept = new.get("components", {}).get("schemas", {})
    # Generators name types after them.
    found += [f"the schema {name} is gone" for name in old.get("components", {}).get("schemas", {}) if name not in kept]
    return found


def _operation(old: dict, before: dict, before_item: dict, new: dict, after: dict, after_item: dict) -> list[str]:
    # Generators name functions and modules after them.
    found = [f"{name} is another" for name in ("operationId", "tags") if before.get(name) != after.get(name)]
    found += _parameters(_parameters_of(old, before, before_item), old, _parameters_of(new, after, after_item), new)
    found += _security(before.get("security", old.get("security", [])), after.get("security", new.get("security", [])))
    found += _body(old, resolve(old, before.get("requestBody")), new, resolve(new, after.get("requestBody")))
    responses = after["responses"]
    for status, response in before["responses"].items():
        if status in responses:
            found += [f"{status}: {what}" for what in _response(old, resolve(old, response), new, resolve(new, responses[status]))]
        elif status < "400":
            found.append(f"{status} is gone")
    return found


def _parameters_of(document: dict, operation: dict, item: dict) -> dict[tuple[str, str], dict]:
    listed = [resolve(document, each) for each in [*item.get("parameters", []), *operation.get("parameters", [])]]
    return {(each["in"], each["name"].lower() if each["in"] == "header" else each["name"]): each for each in listed}


def _parameters(before: dict, old: dict, after: dict, new: dict) -> list[str]:
    found = []
    for key, parameter in before.items():
        if key not in after:
            found.append(f"the parameter {key[1]} is gone")
        elif key[1] not in OPAQUE:
            found += schema_breaks(old, parameter.get("schema"), new, after[key].get("schema"), f"parameter {key[1]}", is_request=True)
    for key, parameter in after.items():
        if parameter.get("required") and not before.get(key, {}).get("required"):
            found.append(f"the parameter {key[1]} is required now")
    return found


def _security(before: list[dict], after: list[dict]) -> list[str]:
    """Each way to be let in must be one still, or asked for less."""
    ways = before or [{}]
    return [
        f"a key as {'+'.join(way) or 'none'} is not enough now"
        for way in ways
        if after and not any(set(other) <= set(way) for other in after)
    ]


def _body(old: dict, before: dict, new: dict, after: dict) -> list[str]:
    found = ["a body is required now"] if after.get("required") and not before.get("required") else []
    for media, content in before.get("content", {}).items():
        if media not in after.get("content", {}):
            found.append(f"bodies may not be {media} now")
        else:
            found += schema_breaks(old, content.get("schema"), new, after["content"][media].get("schema"), "body", is_request=True)
    return found


def _response(old: dict, before: dict, new: dict, after: dict) -> list[str]:
    headers = {name.lower() for name in after.get("headers", {})}
    found = [f"the header {name} is gone" for name in before.get("headers", {}) if name.lower() not in headers]
    for media, content in before.get("content", {}).items():
        if media not in after.get("content", {}):
            found.append(f"{media} is gone")
        else:
            found += schema_breaks(old, content.get("schema"), new, after["content"][media].get("schema"), "answer", is_request=False)
    return found


def schema_breaks(old: dict, before: object, new: dict, after: object, where: str, *, is_request: bool) -> list[str]:
    """A request must be allowed still; an answer must not be what was not allowed."""
    if is_request:
        return _Comparison(old, new, is_request=True).faults(before, after, where)
    return _Comparison(new, old, is_request=False).faults(after, before, where)


class _Comparison:
    """Whether all that one schema, of the sender, allows is allowed by the other, of the receiver."""

    def __init__(self, sender: dict, receiver: dict, *, is_request: bool) -> None:
        self._sender, self._receiver, self._is_request = sender, receiver, is_request
        self._open: list[tuple[object, object]] = []

    def faults(self, sent: object, taken: object, where: str) -> list[str]:
        # Schemas that contain themselves are compared once.
        if (sent, taken) in self._open:
            return []
        self._open.append((sent, taken))
        try:
            return self._faults(_flat(self._sender, sent), _flat(self._receiver, taken), where)
        finally:
            self._open.pop()

    def _faults(self, sent: dict, taken: dict, where: str) -> list[str]:
        if "oneOf" in sent or "oneOf" in taken:
            options, allowed = sent.get("oneOf", [sent]), taken.get("oneOf", [taken])
            fits = (any(not self.faults(option, other, where) for other in allowed) for option in options)
            return [] if all(fits) else [f"{where}: other kinds of values"]
        found = []
        if not _types(sent) <= _types(taken):
            found.append(f"{where}: the type is another")
        if "enum" in taken and not (not self._is_request and where.rpartition("/")[2] in OPEN):
            extra = [value for value in sent.get("enum", ["anything else"]) if value not in taken["enum"]]
            found += [f"{where}: {value!r} is not in the list of values on the other side" for value in extra]
        found += [f"{where}: {word} is another" for word in EXACT if word in taken and sent.get(word) != taken[word]]
        found += [f"{where}: {word} is another" for word in LOWER if word in taken and not sent.get(word, float("-inf")) >= taken[word]]
        found += [f"{where}: {word} is another" for word in UPPER if word in taken and not sent.get(word, float("inf")) <= taken[word]]
        found += [f"{where}/{name}: is not always there" for name in taken.get("required", []) if name not in sent.get("required", [])]
        sent_members, taken_members = sent.get("properties", {}), taken.get("properties", {})
        # A member that only one side knows: harmless if the client need not know it.
        for name in sent_members.keys() - taken_members.keys() if self._is_request else taken_members.keys() - sent_members.keys():
            found.append(f"{where}/{name}: is gone")
        for name in sorted(sent_members.keys() & taken_members.keys()):
            found += self.faults(sent_members[name], taken_members[name], f"{where}/{name}")
        if taken.get("additionalProperties", True) is False and sent.get("additionalProperties", True) is not False and self._is_request:
            found.append(f"{where}: more members are refused")
        if isinstance(taken.get("additionalProperties"), dict):
            found += self.faults(sent.get("additionalProperties", {}), taken["additionalProperties"], f"{where}/*")
        if "items" in taken:
            found += self.faults(sent.get("items", {}), taken["items"], f"{where}[]")
        return found


def _types(schema: dict) -> set[str]:
    named = schema.get("type", ["null", "boolean", "object", "array", "number", "string"])
    types = {named} if isinstance(named, str) else set(named)
    return types | {"integer"} if "number" in types else types


def _flat(document: dict, schema: object) -> dict:
    """A schema with its reference followed and its `allOf` put together; `anyOf` is read as `oneOf`."""
    own = dict(resolve(document, schema))
    parts = [_flat(document, part) for part in own.pop("allOf", [])] + [own]
    if "anyOf" in own:
        own["oneOf"] = own.pop("anyOf")
    flat: dict = {}
    for part in parts:
        members, required, values = flat.get("properties", {}), flat.get("required", []), flat.get("enum")
        flat |= part
        if members and "properties" in part:
            both = members.keys() & part["properties"].keys()
            flat["properties"] = (
                members | part["properties"] | {name: {"allOf": [members[name], part["properties"][name]]} for name in both}
            )
        flat["required"] = [*required, *part.get("required", [])]
        if values is not None and "enum" in part:
            flat["enum"] = [value for value in values if value in part["enum"]]
    return flat
