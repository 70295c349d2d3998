"""Writes reference/web-api.md from the description of the API: python docs/web_api.py (make docs does)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from restante.web.app import ENDPOINTS
from restante.web.openapi import EVENTS, Endpoint, Parameter, describe_api

PAGE = Path(__file__).parent / "reference" / "web-api.md"


def page() -> str:
    described = describe_api(ENDPOINTS)
    groups = {row.group: [one for one in ENDPOINTS if one.group == row.group] for row in ENDPOINTS}
    schemas = {
        name: schema
        for name, schema in described["components"]["schemas"].items()
        if not name.startswith("Mailpit")
    }
    return f"""<!-- Written by docs/web_api.py. Change the code, then: make docs -->

# The API of developer mode

`pop3 dev` serves this API beside its page, at http://127.0.0.1:8025/: [how to use it](../how-to/develop.md).
`/openapi.json` describes it in OpenAPI 3.1. Errors are JSON, `{{"error": "..."}}`. Any request may also get 400, 401 or 403: a
parameter or field that is not on this page gets 400. A program sends no token. A script in a browser must come from the page, and send its token.

{_table(groups["Restante"])}

## Parameters

{_parameters(groups["Restante"])}

## Events

`GET /api/events` never ends. Each event has an id. A reader that sends it as `Last-Event-ID` gets what it missed; 10,000
events are remembered. A server begins with id 1 at each start. A reader whose id is higher than the last one gets all
events. At most 64 requests wait for events or messages at once; more get 503.

| event | meaning, and its data |
|---|---|
{chr(10).join(f"| `{name}` | {text} |" for name, text in EVENTS.items())}

## Types

{chr(10).join(_schema(name, schema) for name, schema in sorted(schemas.items()))}
## Mailpit's API

These requests answer as [Mailpit](https://mailpit.axllent.org/docs/api-v1/) does, for its client libraries. As a websocket,
`/api/events` has Mailpit's events `new`, `update`, `delete` and `stats`.

| request | what it does |
|---|---|
{chr(10).join(f"| {_request(row)} | {row.summary} |" for row in groups["Mailpit's API"])}
"""


def _request(row: Endpoint) -> str:
    return f"`{row.method} {row.path}`"


def _table(rows: list[Endpoint]) -> str:
    lines = [f"| {_request(row)} | {row.summary} | {'; '.join(_answers(row))} |" for row in rows]
    return "\n".join(["| request | what it does | answers |", "|---|---|---|", *lines])


def _answers(row: Endpoint) -> list[str]:
    return [
        f"{status}: {text.rstrip('.')}{_kind(kind)}" for status, (text, kind) in row.answers.items()
    ]


def _kind(kind: Any) -> str:
    if kind is None:
        return ""
    if isinstance(kind, str):
        return f" (`{kind}`)"
    name = getattr(kind, "__name__", "")
    inner = getattr(kind, "__args__", ())
    if name == "list" and inner:
        return f" (list of `{inner[0].__name__}`)"
    return f" (`{name}`)"


def _parameters(rows: list[Endpoint]) -> str:
    requests: dict[Parameter, list[str]] = {}
    for row in rows:
        for parameter in row.parameters:
            requests.setdefault(parameter, []).append(_request(row))
    lines = [f"| `{p.name}` | {p.text} | {', '.join(of)} |" for p, of in requests.items()]
    return "\n".join(["| parameter | meaning | of |", "|---|---|---|", *lines])


def _schema(name: str, schema: dict[str, Any]) -> str:
    lines = [
        f"| `{field}` | {_type(value)} | {_description(value)} |"
        for field, value in schema["properties"].items()
    ]
    head = f"**`{name}`**: {schema.get('description', '')}\n"
    return "\n".join([head, "| field | type | meaning |", "|---|---|---|", *lines, ""])


def _description(value: dict[str, Any]) -> str:
    found = (each.get("description", "") for each in (value, *value.get("anyOf", ())))
    return next(filter(None, found), "")


def _type(value: dict[str, Any]) -> str:
    if "anyOf" in value:
        return " or ".join(_type(one) for one in value["anyOf"])
    if "$ref" in value:
        return f"`{value['$ref'].rpartition('/')[2]}`"
    if value.get("type") == "array":
        if value.get("prefixItems"):
            return f"list of {len(value['prefixItems'])}"
        return f"list of {_type(value['items'])}" if value.get("items") else "list"
    return str(value.get("type", "any"))


if __name__ == "__main__":
    PAGE.write_text(page())
