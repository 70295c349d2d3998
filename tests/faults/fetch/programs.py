"""How `pop3 fetch` is run, and a program that loses count of what it has fetched."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from faults.fetch.killing import Command
from faults.fetch.places import DESTINATION_PASSWORD, GMAIL_TOKEN
from restante.oauth.sign_in import SignIn
from restante.oauth.token_endpoint import TokenEndpoint, TokenSet
from restante.oauth.token_store import TokenStore
from restante.protocol.secret import Secret
from support.process import POP3


@dataclass(frozen=True, slots=True)
class Source:
    """A POP3 account without TLS."""

    host: str
    port: int
    user: str
    password: str


class Program(Protocol):
    """A program that fetches mail.

    Attributes:
        name: for tables.
    """

    name: str

    def command(self, folder: Path, source: Source, urls: Sequence[str], *, keep: bool) -> Command:
        """Write a configuration into a folder, and return what fetches all mail once.

        `urls`: the destinations as `pop3 fetch` has them. `keep`: leave the mail at the server.
        """


class Restante:
    """`pop3 fetch`, with all that it writes in the folder.

    `rules`: tables [[work.fetch.rule]].
    """

    name = "pop3 fetch"

    def __init__(self, rules: str = "") -> None:
        self._rules = rules

    def command(self, folder: Path, source: Source, urls: Sequence[str], *, keep: bool) -> Command:
        config = folder / "config" / "restante"
        config.mkdir(parents=True, exist_ok=True)
        (config / "accounts.toml").write_text(
            f'[work]\naccount = "pop3://{source.user}@{source.host}:{source.port}"\n'
            f'password_command = "echo {source.password}"\n'
            f"[work.fetch]\nto = {json.dumps(urls)}\nkeep = {str(keep).lower()}\n"
            f'to_password_command = "echo {DESTINATION_PASSWORD}"\n{self._rules}'
        )
        environment = {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
        environment["XDG_STATE_HOME"] = str(folder / "state")
        if any("gmail:" in url for url in urls):
            _sign_in_to_gmail(folder / "state/restante/tokens")
        return Command([POP3, "fetch", "work"], environment)


def _sign_in_to_gmail(store: Path) -> None:
    """Save tokens as `pop3 login ann@gmail.com` does."""
    tokens = TokenSet(Secret(GMAIL_TOKEN.encode()), Secret(b"refresh"), time.time() + 3600, "mail")
    endpoint = TokenEndpoint("https://localhost/token", "me")
    sign_in = SignIn("google", "https://localhost", endpoint, tokens, "device", "mail")
    TokenStore(store, keyring=False).save("ann@gmail.com", sign_in, "pop.gmail.com", time.time())


class Careless:
    """A program that notes what it has delivered, but only when all is delivered."""

    name = "careless"

    def command(self, folder: Path, source: Source, urls: Sequence[str], *, keep: bool) -> Command:
        argv: list[str | Path] = [sys.executable, "-m", "faults.fetch.careless"]
        account = f"pop3://{source.user}@{source.host}:{source.port}"
        argv += [account, source.password, urls[0].removeprefix("maildir:"), folder / "noted"]
        environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
        return Command(argv, environment)
