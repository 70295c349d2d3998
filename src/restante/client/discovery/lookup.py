"""From an address to its server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.client import mail_address
from restante.client.options import Target
from restante.net import host_names
from restante.protocol.errors import Phase, RemoteError, ServerUnreachableError

if TYPE_CHECKING:
    from restante.client.discovery.discover import Candidate, Discovery
    from restante.client.options import Tls

SECONDS = 10.0


class OtherDomainError(RemoteError):
    """The server that was found for an address is in another domain. Nothing was sent to it.

    DNS answers can be forged, so the user must confirm that the server is the right one.

    Attributes:
        target: the server. Connect to it to confirm it.
        remedy: the command to continue with, if a command of `pop3` failed.
    """

    def __init__(self, text: str, target: Target) -> None:
        super().__init__("other-domain", text, phase=Phase.DISCOVER)
        self.target = target
        self.remedy: str = ""


def target_of(address: str, seconds: float = SECONDS) -> Target:
    """Return the server of an address, as its domain names it, within `seconds`.

    Raises:
        ValueError: it is not an address.
        ServerUnreachableError: no server is known.
        OtherDomainError: only the DNS or a third party names the server, and it is not in the mail
            domain.
    """
    discovery = discover_server(address, min(seconds, SECONDS))
    target = choose_server(discovery)
    check_vouched(discovery)
    return target


def discover_server(address: str, seconds: float) -> Discovery:
    """Return all findings about the server of an address. Raises ValueError: an invalid address."""
    from restante.client.discovery.discover import discover  # large, and most accounts are URLs

    return discover(address, timeout=seconds)


def not_found_error(discovery: Discovery) -> ServerUnreachableError:
    """Return why no server was found: the guesses, which come last, look up the domain itself."""
    from restante.client.discovery.discover import NO_REPLY_FROM, NOT_OFFERED

    notes = [finding.note for finding in discovery.findings if finding.source.startswith("SRV")]
    if notes and all(note == NOT_OFFERED for note in notes):
        text = (
            f'{discovery.domain} declares that it has no POP3: its SRV records have the target "."'
        )
        return ServerUnreachableError("no-server", text, phase=Phase.DISCOVER)
    last = discovery.findings[-1] if discovery.findings else None
    verdict, note = (last.verdict, last.note) if last else ("no-server", "")
    silence = f": {note}" if note.startswith(NO_REPLY_FROM) else ""
    text = {
        "no-domain": f"the domain {discovery.domain} does not exist",
        "no-mail": f"the domain {discovery.domain} declares that it has no mail",
        "dns-alias": note,
        "dns-temp": f"the domain {discovery.domain} could not be looked up: {note}",
    }.get(
        verdict,
        f"no POP3 server was found for {discovery.domain}{silence}; name one, as in pop3s://ann@host",
    )
    return ServerUnreachableError(verdict, text, phase=Phase.DISCOVER)


def choose_server(discovery: Discovery) -> Target:
    """Return the server that was discovered.

    A server without TLS must support STLS: no password goes in clear text. Raises
    ServerUnreachableError: none was discovered, or it is this machine.
    """
    winner = discovery.winner
    if winner is None:
        raise not_found_error(discovery)
    if mail_address.is_this_machine(winner.host):
        text = f"{winner.source} names this machine ({winner.host}), so nothing was sent to it"
        raise ServerUnreachableError("looked-up-local", text, phase=Phase.DISCOVER)
    tls: Tls = "starttls" if winner.tls == "none" else winner.tls
    return Target(winner.host, winner.port, tls, winner.user, looked_up=True)


def check_vouched(discovery: Discovery) -> None:
    """Raise OtherDomainError if a password must not go to the server that was discovered.

    RFC 6186 section 6: TLS proves the name that the DNS gave, and the DNS may have been forged.
    """
    winner = discovery.winner
    if winner is None or is_vouched(winner, discovery):
        return
    target = choose_server(discovery)
    host, mail = host_names.display_host(winner.host), host_names.display_host(discovery.domain)
    text = (
        f"{winner.source} names {host}, which is not in {mail}, so nothing was sent to it. "
        f"If it is the right server, name it: {target}"
    )
    raise OtherDomainError(text, target)


def is_vouched(server: Candidate, discovery: Discovery) -> bool:
    """Return whether a server is in the mail domain, or named by its own file."""
    return server.vouched or mail_address.is_below(server.host, discovery.domain)


def find_another(discovery: Discovery, host: str) -> Candidate | None:
    """Return a server that is vouched for, on another host; None if there is none."""
    found = [server for finding in discovery.findings for server in finding.candidates]
    if discovery.winner is not None:
        found.insert(0, discovery.winner)
    return next((c for c in found if c.host != host and is_vouched(c, discovery)), None)
