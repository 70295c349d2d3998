"""JSON as Mailpit reads it, which is written in Go.

Names come in any case of letters, and null is the same as no value: programs in Go send null for
each list that they left empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import msgspec

from restante.json_input import read_json
from restante.web.page import not_json, read_body

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")


async def read_mailpit_body(request: Request, kind: type[T]) -> T:
    """Return the body of a request, which is JSON. Raises RefusedRequest."""
    return read_mailpit_json(await read_body(request), kind)


def read_mailpit_json(octets: bytes, kind: type[T]) -> T:
    """Return JSON as Go reads it. Raises RefusedRequest."""
    try:
        return msgspec.convert(_as_in_go(read_json(octets, object), kind), kind)
    except ValueError as error:  # msgspec.ValidationError among them
        raise not_json(error) from None


def _as_in_go(value: Any, kind: Any) -> Any:
    """Return a value of JSON with the names of its type, and without null."""
    if isinstance(value, list) and get_origin(kind) is list:
        return [_as_in_go(one, get_args(kind)[0]) for one in value]
    if not isinstance(value, dict) or not (
        isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    ):
        return value
    fields = {field.name.lower(): field for field in msgspec.structs.fields(kind)}
    found = [(fields.get(name.lower()), one) for name, one in value.items() if one is not None]
    return {field.name: _as_in_go(one, field.type) for field, one in found if field}
