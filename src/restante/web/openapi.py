"""The description of the API in OpenAPI 3.1, from the table of its endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from restante import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query: its name, what it does, and its JSON type."""

    name: str
    text: str
    type: str = "string"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the API.

    Attributes:
        answers: by status, what it means, and the type of the JSON, a media type, or None.
    """

    method: str
    path: str
    summary: str
    handler: Callable[[Request], Awaitable[Response]]
    answers: dict[int, tuple[str, Any]]
    parameters: Sequence[Parameter] = ()
    body: Any = None
    group: str = "Restante"


EVENTS = {
    "delivered": "A message came: `id`, `mailbox`, `session`.",
    "fetched": "A session retrieved a message: `id`, `mailbox`, `session`.",
    "marked": "A mark was set or cleared: `id`, `mailbox`, `session`, `marked`.",
    "removed": "A message was removed: `id`, `mailbox`, `session`.",
    "tagged": "The tags of a message changed: `id`, `mailbox`, `tags`.",
    "read": "A message was opened on the page, or marked: `id`, `mailbox`, `read`.",
    "session": "A session began, ended, or changed its state: `number`.",
    "line": "A line of a conversation: `session` and the fields of `SessionLine`.",
    "faults": "Faults were switched on or off: `on`.",
    "stopped": "The server stops, and the stream ends.",
}
"""The kinds of server-sent events, and what their data has."""


def describe_api(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the document of these endpoints."""
    used = {
        kind
        for row in endpoints
        for kind in (row.body, *(kind for _, kind in row.answers.values()))
        if kind is not None and not isinstance(kind, str)
    }
    order = sorted(used, key=str)
    schemas, components = msgspec.json.schema_components(
        order, ref_template="#/components/schemas/{name}"
    )
    references = dict(zip(order, schemas, strict=True))
    paths: dict[str, Any] = {}
    for row in endpoints:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Restante, developer mode",
            "version": __version__,
            "description": "Mail, conversations and faults of `pop3 dev`. Times are in UTC.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(row: Endpoint, references: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    names = [part[1:-1].partition(":")[0] for part in row.path.split("/") if part.startswith("{")]
    operation: dict[str, Any] = {
        "summary": row.summary,
        "tags": [row.group],
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}}
              for n in names),
            *({"name": p.name, "in": "query", "description": p.text, "schema": {"type": p.type}}
              for p in row.parameters),
        ],
        "responses": {
            str(status): {"description": text, **_content(kind, references)}
            for status, (text, kind) in row.answers.items()
        },
    }  # fmt: skip
    if row.body is not None:
        operation["requestBody"] = {"required": True, **_content(row.body, references)}
    return operation


def _content(kind: Any, references: dict[Any, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    if kind is None:
        return {}
    if isinstance(kind, str):
        return {"content": {kind: {}}}
    return {"content": {"application/json": {"schema": references[kind]}}}
