"""Sums of faults that behave as a known server does, so that one word tests a client for it.

What they do was read in the servers' sources and in what users report, at the versions named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from restante.misbehave.catalogue import ROWS
from restante.misbehave.conversation import add
from restante.misbehave.fault import ALL, ALL_OR_NONE, ALL_WARNED, NOTHING, sum_of
from restante.misbehave.rules import parse_rules

if TYPE_CHECKING:
    from restante.misbehave.fault import Fault, GoodClient


class Profile(NamedTuple):
    """A known server, by its faults.

    Attributes:
        faults: names of the catalogue, the last one next to the server.
        sentence: what it is like.
        good_client: what a good client does.
        seen: where this was found.
        rules: more that it does, as rules.
    """

    faults: str
    sentence: str
    good_client: GoodClient
    seen: str
    rules: str = ""


LIKE = {
    "like-mailpit": Profile(
        "top-whole deleted-listed retr-many-newlines retr-unstuffed newest-100 login-blank-refused",
        "behaves like Mailpit", ALL_OR_NONE, "Mailpit's source, 408b30d",
        "CAPA: without STLS\nQUIT: +OK goodbye",
    ),
    "like-smtp4dev": Profile(
        "top-announced numbers-move",
        "behaves like smtp4dev", ALL_OR_NONE, "smtp4dev's source, 738a75f",
    ),
    "like-inbucket": Profile(
        "retr-short-then-err",
        "behaves like Inbucket at a line of more than 64 kB", ALL_OR_NONE,
        "Inbucket's source, e56c6d5",
    ),
    "like-greenmail": Profile(
        "quit-ok-failed",
        "behaves like GreenMail when a removal fails", ALL_WARNED, "GreenMail's source, 659cd21",
        "CAPA: without TOP\nCAPA: without USER\nCAPA: without STLS\nCAPA: without RESP-CODES\n"
        "RETR: +OK",
    ),
    "like-exchange": Profile(
        "size-small stat-text list-noise",
        "behaves like Exchange, whose sizes are estimates", ALL, "reports of its users",
    ),
    "like-gmail": Profile(
        "fetched-is-hidden quit-removes-nothing",
        "behaves like Gmail, which hides what was fetched", ALL_WARNED, "Gmail's help pages",
        "CAPA: without STLS\nCAPA: without UTF8\nCAPA: without LANG",
    ),
    "like-gmail-password": Profile(
        "login-app-password",
        "behaves like Gmail at an account's own password", NOTHING, "Gmail's help pages",
    ),
    "like-hmailserver": Profile(
        "uidl-none capa-none",
        "behaves like an old hMailServer, without UIDL and CAPA", ALL, "neomutt#1427",
    ),
    "like-qpopper": Profile(
        "login-in-use",
        "behaves like qpopper after a lost connection, which keeps its lock", NOTHING,
        "reports of its users",
        "PASS: -ERR /var/mail/.joe.pop lock busy! Is another session active? (11)",
    ),
    "like-old": Profile(
        "capa-none uidl-none top-none",
        "behaves like a server of 1994, before CAPA, UIDL and TOP", ALL, "RFC 1725",
        "NOOP: -ERR unknown command\nAUTH: -ERR unknown command\nSTLS: -ERR unknown command",
    ),
    "like-mobile": Profile(
        "slow-latency slow-rate",
        "is at the other end of a bad mobile network", ALL, "",
    ),
}  # fmt: skip


_FAULT_BY_NAME = {fault.name: fault for fault in ROWS}


def _build(name: str, profile: Profile) -> Fault:
    fault = sum_of([_FAULT_BY_NAME[part] for part in profile.faults.split()])
    return replace(
        fault,
        name=name,
        sentence=profile.sentence,
        good_client=profile.good_client,
        verdict=(),
        seen=profile.seen,
        conversation=add(parse_rules(profile.rules), fault.conversation),
    )


PROFILES = {name: _build(name, profile) for name, profile in LIKE.items()}
"""The known servers by name."""
