"""The output of `pop3 login`, and its way to a browser."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import click

from restante.cli.output.terminal import plain
from restante.cli.output.wrapping import is_terminal, wrap_hanging

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from restante.client.options import Target
    from restante.oauth.client import NoClientError, SignInClient
    from restante.oauth.discovery import Issuer
    from restante.oauth.flows.device import DeviceCode
    from restante.oauth.sign_in import SignIn

NOT_LISTED = ("offline_access", "openid", "email")  # issuers grant them without a word
INDENT = 12  # columns before the text of a row


def show_row(label: str, text: str) -> None:
    """Print a row of the report."""
    click.echo(f"  {label:<{INDENT - 2}}{plain(text)}")


def describe_seconds(seconds: float) -> str:
    """Return a span of time in minutes, or in seconds if it is short."""
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{max(0, seconds):.0f} s"


def show_issuer(issuer: Issuer, target: Target) -> None:
    """Print which provider it is, for which server, and what is asked for."""
    row = issuer.provider
    name = row.name if row else issuer.server.issuer
    mechanisms = f", {row.mechanisms[0]}" if row and row.mechanisms else ""
    scopes = " ".join(scope.rpartition("/")[2] or scope for scope in issuer.scope.split())
    text = f"{name} ({target.host}:{target.port}{mechanisms})"
    show_row("provider", f"{text}   scope {scopes}" if scopes else text)


def show_client(client: SignInClient) -> None:
    """Print whose client it is, and a part of its id."""
    show_row("client", f"{client.origin}: {_shorten(client.endpoint.client_id)}")


def show_details(
    issuer: Issuer, client: SignInClient | None, flow: str | None, port: int | None
) -> None:
    """Print all that a sign-in would use, without a secret; `flow` is the only one."""
    server = issuer.server
    rows = {
        "named by": issuer.source,
        "issuer": server.issuer,
        "authorize": server.authorization,
        "token": server.token,
        "device": server.device,
        "register": server.registration,
        "revoke": server.revocation,
        "scope": issuer.scope,
    }
    if client is not None:
        rows["flows"] = flow or ", ".join(client.flows)
        rows["redirect"] = f"{client.redirect}:{port or 'PORT'}/"
    for label, text in rows.items():
        if text:
            show_row(label, text)
    show_unusable(issuer)


def show_unusable(issuer: Issuer) -> None:
    """Print which endpoints of the issuer are not used, and why."""
    for text in issuer.server.unusable:
        show_row("note", f"{text}; it is not used")


def notes_on(sign_in: SignIn) -> Iterator[str]:
    """Yield what a sign-in lacks, although it succeeded."""
    tokens = sign_in.tokens
    if tokens.refresh is None and sign_in.flow != "client-credentials":
        yield "the issuer gave no refresh token: sign in again when the access token expires"
    granted = set(tokens.scope.lower().split())
    missing = [
        scope
        for scope in sign_in.scope.split()
        if scope.lower() not in granted and scope not in NOT_LISTED
    ]
    if missing:
        yield f"the user or the issuer did not grant {' '.join(missing)}"


def registration_steps(error: NoClientError, account: str, file: Path) -> str:
    """Return what a user without a client can do: an app password, or a registration.

    `file` is the user's table of providers.
    """
    row = error.provider
    lines = [f"FAIL {error.id}  {plain(error.text)}."]
    if row is not None and row.app_password:
        lines += _label_lines("you", row.app_password)
        lines.append(f"        Then there is nothing to sign in to: pop3 check {account}")
    if row is not None and row.registration:
        also = "Or register" if row.app_password else "Register"
        lines.append(f"  you   {also} a client of your own, which takes some minutes:")
        for place, step in enumerate(row.registration, 1):
            lines += wrap_hanging(f"        {place}. ", step, wrap=is_terminal(sys.stderr))
        lines += [f"        {file}:", f"            [{error.name}]"]
        lines.append('            client_id = "ID"')
        if row.secret_for[:1] == row.flows[:1]:
            lines.append('            client_secret_command = "COMMAND"')
    if row is None:
        text = 'Ask the provider for a client id, and set oauth = { client_id = "ID" } in the file '
        lines += _label_lines("you", error.remedy or f"{text}of accounts.")
    lines.append(f"  more  pop3 explain {error.id}")
    return "\n".join(lines)


def _label_lines(label: str, text: str) -> list[str]:
    return wrap_hanging(f"  {label:<6}", text, wrap=is_terminal(sys.stderr))


def can_open_browser() -> bool:
    """Return whether a browser with windows can be opened here."""
    import webbrowser

    windows = sys.platform in ("darwin", "win32", "cygwin")
    if not (windows or os.environ.get("BROWSER") or _has_display()):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


class TerminalPerson:
    """The user at a terminal, with a browser here or elsewhere."""

    def __init__(self, port: int | None) -> None:
        self.browser = can_open_browser()
        self._port = port

    def open_page(self, url: str) -> None:
        """Show the URL, and open a browser if there is one."""
        show_row("open", url)
        if self._port is not None and not self.browser:
            forward = f"ssh -L {self._port}:127.0.0.1:{self._port}"
            show_row("", f"in a browser of the machine that you came from with {forward}")
        show_row("", "sign in there within 5 minutes; Ctrl-C ends the wait")
        if self.browser:
            import webbrowser

            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    def show_code(self, code: DeviceCode) -> None:
        """Show the address to sign in at, and the code to type there."""
        life = f"({describe_seconds(code.seconds)})"
        bold = click.style(plain(code.user_code), bold=True)
        click.echo(f"  {'open':<{INDENT - 2}}{plain(code.verification_uri)}")
        click.echo(f"  {'and type':<{INDENT - 2}}{bold}     {life}")
        if code.verification_uri_complete:
            show_row("or open", code.verification_uri_complete)

    def ask_for_answer(self, url: str) -> str:
        """Show the URL, and ask for the address at which the browser ends."""
        show_row("open", url)
        show_row("", "in any browser, and sign in. It ends at a page that it cannot load.")
        from restante.cli.options.prompts import ask

        advice = "Nothing was kept. Run the command in a terminal, and paste the address there."
        return ask("  Paste the address of that page", advice)

    def note(self, text: str) -> None:
        """Show in one line why a flow is skipped."""
        show_row("note", text)


def _has_display() -> bool:
    names: Iterable[str] = ("DISPLAY", "WAYLAND_DISPLAY")
    return any(os.environ.get(name) for name in names)


def _shorten(client_id: str) -> str:
    return client_id if len(client_id) <= 16 else f"{client_id[:4]}…{client_id[-4:]}"
