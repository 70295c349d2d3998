"""`pop3 check` without its screen: a question to a server, and the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from restante.client.options import Options, Target
from restante.diagnosis.report import Report
from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine
from restante.misbehave import Fault
from restante.misbehave.conversation import Alteration
from restante.misbehave.driver import FaultyServer
from support.faulty_server import PASSWORD, faulty_server

Faults: TypeAlias = str | Fault | Alteration | tuple[str | Fault | Alteration, ...]
"""The faults that `server_of` makes a server of."""

ANN = "ann@example.com"

OPTIONS = Options(reply_seconds=20, connect_seconds=20, total_seconds=20)
SHORT = 0.6  # seconds for each reply of a server that falls silent

FALLS_SILENT = Fault(name="silence", sentence="falls silent, and gets little time")
"""Stands beside the faults by which a server never ends a reply. All others have enough time."""


def ask(port: int, *, host: str = "127.0.0.1", **more: Any) -> Report:
    """Check ann's account at a port; the options of both kinds are given by name."""
    options = replace(OPTIONS, **more.pop("options", {}))
    target = Target(host, port, more.pop("tls", "starttls"), ANN)
    password: Callable[[], str] = more.pop("password", lambda: PASSWORD)
    report = examine(CheckRequest("ann", target, options, password=password, **more))
    assert PASSWORD not in str(report.as_json())
    return report


def times_for(given: Faults) -> dict[str, Any]:
    """Return the options for a server with these faults: how long a reply may take."""
    is_silent = isinstance(given, tuple) and FALLS_SILENT in given
    return {"reply_seconds": SHORT} if is_silent else {}


def server_of(given: Faults, **more: Any) -> FaultyServer:
    """Return a server with faults, and with ann's account."""
    return faulty_server(*(given if isinstance(given, tuple) else (given,)), user=ANN, **more)


def faults(*rows: tuple[str, str, Faults, str]) -> pytest.MarkDecorator:
    """Return the rows of a table as cases: the id, a title, the faults, what is said."""
    return pytest.mark.parametrize(
        ("name", "server", "said"),
        [
            pytest.param(name, server, said, id=f"{name}: {title}")
            for name, title, server, said in rows
        ],
    )
