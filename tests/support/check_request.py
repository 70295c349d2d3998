"""`pop3 check` without its screen: a question to a server, and the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from restante.client.options import Options, Target
from restante.diagnosis.report import Report
from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine

OPTIONS = Options(reply_seconds=0.6, connect_seconds=5, total_seconds=20)


def ask(port: int, *, host: str = "127.0.0.1", **more: Any) -> Report:
    """Check ann's account at a port; the options of both kinds are given by name."""
    options = replace(OPTIONS, **more.pop("options", {}))
    target = Target(host, port, more.pop("tls", "starttls"), "ann@example.com")
    password: Callable[[], str] = more.pop("password", lambda: "hunter22")
    report = examine(CheckRequest("ann", target, options, password=password, **more))
    assert "hunter22" not in str(report.as_json())
    return report


def faults(*rows: tuple[str, str, dict[str, Any], str]) -> pytest.MarkDecorator:
    """Return the rows of a table as cases: the id, a title, a server, what is said."""
    return pytest.mark.parametrize(
        ("name", "server", "said"),
        [
            pytest.param(name, server, said, id=f"{name}: {title}")
            for name, title, server, said in rows
        ],
    )


def PASS(text: str) -> dict[str, Any]:  # noqa: N802
    return {"replies": {"PASS": f"-ERR {text}\r\n".encode()}}


def capa(*tags: str) -> bytes:
    return ("+OK\r\n" + "".join(f"{tag}\r\n" for tag in tags) + ".\r\n").encode()
