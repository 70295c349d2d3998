"""AUTH: the frame of SASL, without a right or wrong password in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.diagnosis.conformance.line import shown
from restante.diagnosis.conformance.registry import NotTestable, Theme, want

if TYPE_CHECKING:
    from restante.diagnosis.conformance.bench import Bench
    from restante.diagnosis.conformance.line import Line

THEME = Theme()


@THEME.check("R5034-4.2", "a mechanism that nobody has gets -ERR")
def unknown_mechanism(bench: Bench) -> None:
    _offered(bench)
    with bench.connected() as line:
        answer = line.say("AUTH X-NOBODY-HAS-IT")
        want(answer.startswith(b"-ERR"), shown(answer))


@THEME.check("R5034-4.3 T14", "an empty challenge is plus, space, CR LF")
def empty_challenge(bench: Bench) -> None:
    with bench.connected() as line:
        answer = _begin(bench, line)
        want(answer == b"+ \r\n", shown(answer))


@THEME.check("R5034-4.4", "a client that gives up with * gets -ERR, and may go on")
def given_up(bench: Bench) -> None:
    with bench.connected() as line:
        _begin(bench, line)
        answer = line.say("*")
        want(answer.startswith(b"-ERR"), shown(answer))
        line.alive()


@THEME.check("R5034-4.6", "what is no base64 gets -ERR")
def no_base64(bench: Bench) -> None:
    with bench.connected() as line:
        _begin(bench, line)
        answer = line.say("!!!!")
        want(answer.startswith(b"-ERR"), shown(answer))


@THEME.check("R5034-5.1", "names of mechanisms are taken in any case")
def any_case(bench: Bench) -> None:
    if "PLAIN" not in _offered(bench):
        raise NotTestable("PLAIN is not offered")
    with bench.connected() as line:
        answer = line.say("auth plain")
        want(answer.startswith(b"+ "), shown(answer))


def _offered(bench: Bench) -> list[str]:
    for entry in bench.before:
        tag, _, mechanisms = entry.partition(" ")
        if tag.upper() == "SASL":
            return mechanisms.upper().split()
    raise NotTestable("SASL is not offered")


def _begin(bench: Bench, line: Line) -> bytes:
    """Begin a login that ends before anybody says a password."""
    if "PLAIN" not in _offered(bench):
        raise NotTestable("PLAIN is not offered")
    answer = line.say("AUTH PLAIN")
    want(answer.startswith(b"+") and not answer.startswith(b"+OK"), shown(answer))
    return answer
