"""The faults of the catalogue for tests: which of them run, and how a client is set up for one."""

from __future__ import annotations

import os
import ssl
from typing import Any

from restante.client.options import Options, Target
from restante.misbehave import FAULTS, Fault
from restante.misbehave.driver import USER, FaultyServer
from restante.misbehave.profiles import PROFILES

SAMPLE = 10  # every tenth fault runs, where not all of them do
SILENT = 0.6  # seconds that a client waits for a server that will say nothing
PATIENT = 20.0  # seconds that it waits for any other: no limit that a slow machine reaches
TOTAL = 60.0  # seconds of a session


def chosen_faults() -> list[Fault]:
    """Return all faults, or a sample of them; RESTANTE_ALL_FAULTS=1 is for all."""
    found = list(FAULTS.values())
    return found if os.environ.get("RESTANTE_ALL_FAULTS") else found[::SAMPLE]


def chosen_profiles() -> list[Fault]:
    """Return all known servers, or the first of them."""
    found = list(PROFILES.values())
    return found if os.environ.get("RESTANTE_ALL_FAULTS") else found[:2]


def client_target(fault: Fault, server: FaultyServer) -> Target:
    """Return where a client connects to, with the TLS that the fault is about."""
    if fault.security == "implicit":
        assert server.tls_port
        return Target("localhost", server.tls_port, "implicit", USER)
    return Target("localhost", server.port, "starttls", USER)


def client_options(fault: Fault, server: FaultyServer, **more: Any) -> Options:
    """Return the options of a client of a faulty server."""
    return Options(
        connect_seconds=SILENT if fault.silent else PATIENT,
        reply_seconds=SILENT if fault.silent else PATIENT,
        total_seconds=TOTAL,
        context=ssl.create_default_context(cafile=server.authority) if server.authority else None,
        require_tls=fault.security == "starttls",
        token=fault.name.startswith(("xoauth2-", "oauthbearer-")),
        family=4,
        **more,
    )
