"""From the URL of a destination to the destination."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from restante.client.token_source import TokenSource
    from restante.fetch.destinations.gmail.api import GmailApi
    from restante.fetch.imported_messages import ImportedMessages
    from restante.fetch.interfaces import Destination

_MAILDIR_PARTS = ("cur", "new", "tmp")
_PASSWORD = re.compile(
    r"""^(\w+:(?://)?[^:/?\[]*)     # a scheme, and the user before the first colon
    :(?!\d*(?:[/?]|$))            # not a port
    (?:(?!\?\w+=).)*@             # up to the last @ before the settings""",
    re.DOTALL | re.VERBOSE,
)


def _find_nothing(_user: str, _host: str) -> None:
    """Return None: no user has a password or has signed in."""


@dataclass(frozen=True, slots=True)
class DestinationSettings:
    """The settings of destinations that are not in their URLs.

    Attributes:
        state: the folder of the fetcher's state.
        find_password: for a destination's user and host, returns what gives the password, None
            where there is none. It may raise ValueError.
        find_token: for a destination's user and host, returns what gives access tokens, None where
            the user has not signed in. Such tokens go only to hosts of the same provider.
        envelope: the header field with the recipient, for one mailbox of many people.
        addresses: the recipients for each address of such a field.
        hold: park a message that may have been delivered, where no destination can be asked.
        imported: the journal's part for Gmail, which requires it.
        trace: gets ">" or "<" and each line of an SMTP session, without secrets; None for no trace.
        added: returns the fields that each message gets on top; None for none.
    """

    state: Path
    find_password: Callable[[str, str], Callable[[], str] | None] = _find_nothing
    find_token: Callable[[str, str], TokenSource | None] = _find_nothing
    envelope: str = ""
    addresses: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    hold: bool = False
    imported: ImportedMessages | None = None
    trace: Callable[[str, str], None] | None = None
    added: Callable[[], bytes] | None = None


def place_of(url: str) -> str:
    """Return the same text for all spellings of a folder or file: "~", "." and links are resolved.

    Any other destination is its own URL.
    """
    kind = _find_kind(url)
    if kind is None or not kind.is_path:
        return url
    return f"{kind.scheme}:{os.path.realpath(os.path.expanduser(_path_of(url)))}"


def merge_same_places(destinations: Sequence[Destination]) -> list[Destination]:
    """Return destinations without the further spellings of one, so that no mail comes twice.

    Raises ValueError: one is in the folders of a Maildir, where mail programs rename files.
    """
    by_place: dict[str, Destination] = {}
    for destination in destinations:
        by_place.setdefault(place_of(destination.url), destination)
    check_nesting(by_place)
    return list(by_place.values())


def check_nesting(places: Iterable[str]) -> None:
    """Raise ValueError if a place, by `place_of`, is within the folders of a Maildir among them."""
    kinds = {place: _find_kind(place) for place in places}
    paths = {place: _path_of(place) for place, kind in kinds.items() if kind and kind.is_path}
    for outer, folder in paths.items():
        if not outer.startswith("maildir:"):
            continue
        mail = tuple(f"{folder}/{part}/" for part in _MAILDIR_PARTS)
        for inner, path in paths.items():
            if path.startswith(mail):
                text = f"{inner} is within the mail of {outer}; choose a path beside it"
                raise ValueError(text)


def open_destination(url: str, settings: DestinationSettings) -> Destination:
    """Return the destination of a URL; nothing is opened yet.

    Raises ValueError: the URL is invalid; the text says what to write.
    """
    kind = _find_kind(url)
    is_free_text = kind is not None and (kind.is_path or kind.open is _pipe)
    redacted = url if is_free_text else _PASSWORD.sub(r"\1:***@", url)
    if kind is None:
        forms = ", ".join(kind.form for kind in KINDS)
        raise ValueError(f'"{redacted}" is not a destination; use {forms}')
    if redacted != url:
        text = "a password has no place in a URL, which other programs can see"
        raise ValueError(f"{redacted}: {text}")
    destination = kind.open(url, settings)
    if settings.added is None:
        return destination
    from restante.fetch.destinations.trace import TracedDestination

    return TracedDestination(destination, settings.added)


def _find_kind(url: str) -> DestinationKind | None:
    """Return the kind of a URL, None if it has none, or lacks its path."""
    scheme, _, rest = url.partition(":")
    kind = next((kind for kind in KINDS if kind.scheme == scheme.lower()), None)
    return None if kind and kind.is_path and not rest else kind


def _path_of(url: str) -> str:
    return url.partition(":")[2]


def _maildir(url: str, _: DestinationSettings) -> Destination:
    from restante.fetch.destinations.maildir import MaildirDestination

    return MaildirDestination(_path_of(url))


def _mbox(url: str, settings: DestinationSettings) -> Destination:
    from restante.fetch.destinations.mbox.destination import MboxDestination
    from restante.fetch.spool import Spool

    return MboxDestination(_path_of(url), Spool(str(settings.state / "spool")))


def _pipe(url: str, settings: DestinationSettings) -> Destination:
    from restante.fetch.destinations.pipe import PipeDestination, parse_pipe_url

    command = parse_pipe_url(url)
    return PipeDestination(url, command, str(settings.state), hold=settings.hold)


def _smtp(url: str, settings: DestinationSettings) -> Destination:
    from restante.fetch.destinations.smtp.address import parse_smtp_url
    from restante.fetch.destinations.smtp.destination import SmtpDestination
    from restante.fetch.destinations.smtp.login import Login
    from restante.protocol.secret import Secret

    address = parse_smtp_url(url, settings.envelope, settings.addresses)
    address = replace(address, hold=settings.hold)
    login = None
    token = settings.find_token(address.user, address.host) if address.user else None
    if token is not None:
        login = Login(token=token.token)
    elif address.user and (password := settings.find_password(address.user, address.host)):
        login = Login(Secret(password().encode()))
    destination = SmtpDestination(url, address, str(settings.state), login)
    destination.trace = settings.trace
    return destination


def _imap(url: str, settings: DestinationSettings) -> Destination:
    from restante.fetch.destinations.imap.address import parse_imap_url
    from restante.fetch.destinations.imap.destination import ImapDestination
    from restante.fetch.spool import Spool

    address = parse_imap_url(url)
    source = settings.find_token(address.user, address.host)
    spool = Spool(str(settings.state / "spool"))
    if source is not None:
        return ImapDestination(url, address, spool, None, source.token)
    password = settings.find_password(address.user, address.host)
    return ImapDestination(url, address, spool, password)


def _gmail(url: str, settings: DestinationSettings) -> Destination:
    from restante.fetch.destinations.gmail.address import parse_gmail_url
    from restante.fetch.destinations.gmail.destination import GmailDestination
    from restante.fetch.spool import Spool

    address = parse_gmail_url(url)

    def open_api() -> GmailApi:
        from restante.fetch.destinations.gmail.api import API, HOST, SCOPE, GmailApi
        from restante.fetch.destinations.gmail.stored_tokens import DestinationTokens

        source = settings.find_token(address.user, HOST)
        tokens = DestinationTokens(address.user, source, SCOPE)
        return GmailApi(address, tokens, address.api or API)

    spool = Spool(str(settings.state / "spool"))
    if settings.imported is None:
        raise ValueError("Gmail requires the journal")
    return GmailDestination(url, address, spool, settings.imported, open_api)


@dataclass(frozen=True, slots=True)
class DestinationKind:
    """A kind of destination.

    Attributes:
        form: how users write its URL.
        open: returns the destination of a URL. Raises ValueError.
        is_path: a path follows the scheme, and all spellings of it are one place.
    """

    form: str
    open: Callable[[str, DestinationSettings], Destination]
    is_path: bool = False

    @property
    def scheme(self) -> str:
        """The word before the colon of its URLs."""
        return self.form.partition(":")[0]


KINDS = (
    DestinationKind("maildir:PATH", _maildir, is_path=True),
    DestinationKind("mbox:PATH", _mbox, is_path=True),
    DestinationKind("lmtp:HOST:PORT", _smtp),
    DestinationKind("smtp://HOST", _smtp),
    DestinationKind("smtps://USER@HOST", _smtp),
    DestinationKind("imap://USER@HOST", _imap),
    DestinationKind("imaps://USER@HOST", _imap),
    DestinationKind("gmail:USER@gmail.com", _gmail),
    DestinationKind("pipe:COMMAND", _pipe),
)
"""All kinds of destinations."""
