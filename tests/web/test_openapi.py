"""The description of the API."""

from __future__ import annotations

from typing import Any

import web_api
from restante.web.app import ENDPOINTS
from support.page_client import page_client


def test_each_endpoint_is_described() -> None:
    """The document has each method of each path, and every reference leads somewhere."""
    found = page_client().get("/openapi.json").json()
    described = {(method.upper(), path) for path, row in found["paths"].items() for method in row}
    assert described == {(row.method, row.path) for row in ENDPOINTS}
    names = set(_references(found))
    assert {name.rpartition("/")[2] for name in names} <= set(found["components"]["schemas"])
    assert "#/components/schemas/MessageDetail" in names


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for one in value for name in _references(one)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if "$ref" in value else []
    return [*own, *(name for one in value.values() for name in _references(one))]


def test_the_reference_page_is_up_to_date() -> None:
    """docs/reference/web-api.md is what docs/web_api.py writes."""
    assert web_api.PAGE.read_text() == web_api.page()
