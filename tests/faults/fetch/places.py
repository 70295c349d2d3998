"""Where a program delivers to in a trial, seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from delivery import door
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from storage.contract import everything
from support.dovecot import imap_server
from support.gmail_api import Gmail, gmail_api
from support.other_user import public_folder

DESTINATION_PASSWORD = "destination"
GMAIL_TOKEN = "ya29.token"


class Place(Protocol):
    """A destination of its own for each trial.

    Attributes:
        name: for tables.
        most_doubles: what the contract allows after one kill.
        urls: what `to` of `pop3 fetch` has.
        rules: tables [[work.fetch.rule]].
    """

    name: str
    most_doubles: int
    rules: str = ""

    @property
    def urls(self) -> list[str]: ...

    def reset(self) -> None:
        """Make it empty for the next trial."""

    def inboxes(self) -> list[list[bytes]]:
        """Return all that has arrived, in any order, for each of the URLs."""

    def between(self) -> None:
        """Do what others do between the kill and the next run; nothing by default."""
        return


class Maildir(Place):
    """A Maildir in a folder of the trials' own."""

    name = "Maildir"
    most_doubles = 0

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def urls(self) -> list[str]:
        return [f"maildir:{self.path}"]

    def reset(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        for part in ("", "tmp", "new", "cur"):
            (self.path / part).mkdir()

    def inboxes(self) -> list[list[bytes]]:
        found = (path for part in ("new", "cur") for path in (self.path / part).iterdir())
        return [[path.read_bytes() for path in found]]


class ReadMaildir(Maildir):
    """A Maildir whose reader files all new mail away between the kill and the next run."""

    name = "Maildir, with a reader"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._archive = Maildir(path.with_name(f"{path.name}-archive"))

    def reset(self) -> None:
        super().reset()
        self._archive.reset()

    def inboxes(self) -> list[list[bytes]]:
        return [super().inboxes()[0] + self._archive.inboxes()[0]]

    def between(self) -> None:
        for path in (self.path / "new").iterdir():
            path.rename(self._archive.path / "cur" / f"{path.name}:2,S")


class Mbox(Place):
    """An mbox, read by Restante's store."""

    name = "mbox"
    most_doubles = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def urls(self) -> list[str]:
        return [f"mbox:{self._folder}/ann"]

    def reset(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()

    def inboxes(self) -> list[list[bytes]]:
        found = asyncio.run(everything(MboxStore(Layout(self._folder)), "ann"))
        return [list(found.values())]


class Pipe(Place):
    """A command that writes a message into a file of its own, and renames that at the end."""

    name = "pipe"
    most_doubles = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def urls(self) -> list[str]:
        file = f"{self._folder}/$$"
        return [f"pipe:sh -c 'cat > {file}.part && mv {file}.part {file}.whole'"]

    def reset(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()

    def inboxes(self) -> list[list[bytes]]:
        return [[path.read_bytes() for path in self._folder.glob("*.whole")]]


class Door(Place):
    """Restante's own listener for LMTP and SMTP."""

    most_doubles = 1

    def __init__(self, door: door.Door, name: str) -> None:
        self._door = door
        self.name = name

    @property
    def urls(self) -> list[str]:
        places = {"LMTP": f"lmtp:{self._door.file}", "SMTP": f"smtp://127.0.0.1:{self._door.port}"}
        return [f"{places[self.name]}?rcpt=ann@example.com"]

    def reset(self) -> None:
        self._door.store.came.clear()

    def inboxes(self) -> list[list[bytes]]:
        return [[message for _, message in self._door.store.came]]


class ImapFolder(Place):
    """The INBOX of a user of Dovecot."""

    name = "IMAP"
    most_doubles = 0

    def __init__(self, port: int) -> None:
        self._port = port

    @property
    def urls(self) -> list[str]:
        return [f"imap://ann@127.0.0.1:{self._port}/INBOX"]

    def reset(self) -> None:
        with self._client() as client:
            client.delete_messages(client.search())
            client.expunge()

    def inboxes(self) -> list[list[bytes]]:
        with self._client() as client:
            found = client.fetch(client.search(), ["BODY.PEEK[]"])
        return [[row[b"BODY[]"] for row in found.values()]]

    def between(self) -> None:
        pass

    @contextlib.contextmanager
    def _client(self) -> Iterator[Any]:
        from imapclient import IMAPClient

        with IMAPClient("127.0.0.1", self._port, ssl=False) as client:
            client.login("ann", DESTINATION_PASSWORD)
            client.select_folder("INBOX")
            yield client


class GmailMailbox(Place):
    """The local double of the Gmail API. In every second trial its search finds nothing yet."""

    name = "Gmail"
    most_doubles = 0

    def __init__(self, gmail: Gmail) -> None:
        self._gmail = gmail

    @property
    def urls(self) -> list[str]:
        return [f"gmail:ann@gmail.com?label=old&api={self._gmail.url}"]

    def reset(self) -> None:
        self._gmail.messages.clear()
        self._gmail.blind = not self._gmail.blind

    def inboxes(self) -> list[list[bytes]]:
        return [self._gmail.octets()]


class Ruled(Place):
    """A Maildir, an mbox, and a Maildir behind a filter, which rules choose by the date."""

    name = "rules"
    most_doubles = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._inbox, self._filtered = Maildir(folder / "inbox"), Maildir(folder / "filtered")
        self._mbox = Mbox(folder / "mbox")
        self._places = (self._inbox, self._filtered, self._mbox)
        first, second = self._filtered.urls + self._mbox.urls
        self.rules = (
            "[[work.fetch.rule]]\n"
            'if = { header = "Date", has = "10:00:01" }\n'
            "filter = \"sh -c 'echo X-Filter: yes; cat'\"\n"
            f'[[work.fetch.rule]]\nif = {{ header = "X-Filter" }}\nto = "{first}"\n'
            "[[work.fetch.rule]]\n"
            f'if = {{ header = "Date", has = "10:00:03" }}\nto = "{second}"\n'
        )

    @property
    def urls(self) -> list[str]:
        return self._inbox.urls

    def reset(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for place in self._places:
            place.reset()

    def inboxes(self) -> list[list[bytes]]:
        return [[message for place in self._places for message in place.inboxes()[0]]]


class Several(Place):
    """Several places at once."""

    def __init__(self, *places: Place) -> None:
        self._places = places
        self.name = " and ".join(place.name for place in places)
        self.most_doubles = max(place.most_doubles for place in places)

    @property
    def urls(self) -> list[str]:
        return [url for place in self._places for url in place.urls]

    def reset(self) -> None:
        for place in self._places:
            place.reset()

    def inboxes(self) -> list[list[bytes]]:
        return [inbox for place in self._places for inbox in place.inboxes()]

    def between(self) -> None:
        for place in self._places:
            place.between()


@contextlib.contextmanager
def _imap(_: Path) -> Iterator[Place]:
    with public_folder() as folder, imap_server(folder, DESTINATION_PASSWORD) as (_server, port):
        yield ImapFolder(port)


@contextlib.contextmanager
def _gmail(folder: Path) -> Iterator[Place]:
    (folder / "gmail").mkdir()
    with gmail_api(folder / "gmail") as gmail:
        gmail.token = GMAIL_TOKEN
        yield GmailMailbox(gmail)


Opening = Callable[[Path], contextlib.AbstractContextManager[Place]]


def _ready(make: Callable[[Path], Place]) -> Opening:
    """Return a place that needs no server."""
    return lambda folder: contextlib.nullcontext(make(folder))


@contextlib.contextmanager
def _door(folder: Path, name: str) -> Iterator[Place]:
    (folder / "door").mkdir()
    with door.listening(folder / "door") as listening:
        yield Door(listening, name)


def _several(folder: Path) -> Place:
    return Several(Maildir(folder / "Mail"), Mbox(folder / "mbox"), Maildir(folder / "Copy"))


PLACES: Mapping[str, Opening] = {
    "maildir": _ready(lambda folder: Maildir(folder / "Mail")),
    "maildir-reader": _ready(lambda folder: ReadMaildir(folder / "Mail")),
    "mbox": _ready(lambda folder: Mbox(folder / "mbox")),
    "several": _ready(_several),
    "rules": _ready(lambda folder: Ruled(folder / "ruled")),
    "lmtp": lambda folder: _door(folder, "LMTP"),
    "smtp": lambda folder: _door(folder, "SMTP"),
    "imap": _imap,
    "gmail": _gmail,
    "pipe": _ready(lambda folder: Pipe(folder / "pipe")),
}
"""The function that opens each kind of place in a folder."""
