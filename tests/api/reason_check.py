"""Loaded by schemathesis: errors have only the reasons that the document lists for the operation and the status."""

from __future__ import annotations

import schemathesis


@schemathesis.check
def reason_conformance(ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    if response.status_code < 400 or response.status_code == 405:  # ok: 405 is of no operation
        return
    documented = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("x-reasons")
    # Probes answer 503 in a shape of their own; a status that is not documented is for another check.
    if documented is not None:
        reason = response.json()["reason"]
        assert reason in documented, f"{response.status_code} {reason} is not documented, only {', '.join(documented)}"
