"""Logging in, and the hints that go with a refusal."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from restante.client import login
from restante.client import session as sessions
from restante.client.mechanisms import Credentials
from restante.diagnosis import suggestions, wording
from restante.diagnosis.context import CheckAborted
from restante.diagnosis.steps import connect
from restante.diagnosis.steps.greeting import leave_capa_out
from restante.protocol.errors import (
    ConnectionLostError,
    LocalError,
    Phase,
    RemoteError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step

RETRY = 3.0  # seconds between two tries at a locked maildrop
FRESH = 5.0  # seconds at a prompt, after which a session is opened anew: servers wait a minute

_URL = re.compile(r"https?://[^\s\"'<>()]+")


def log_in(work: CheckContext) -> None:
    """Log in with the best mechanism."""
    password, old = _ask(work)
    with work.step("login") as step:
        try:
            if old:
                _connect_again(work)
            try:
                _until_free(work, step, password)
            except ConnectionLostError as error:
                leave_capa_out(work, error)
                _until_free(work, step, password)
        except LocalError as error:
            refused = ServerRefusedError("auth-unsent", str(error), phase=Phase.LOGIN)
            work.fail(step, refused)
            raise CheckAborted from error
        except RemoteError as error:
            _explain(work, step, error, password)
            raise
        session = work.session
        step.text = f"{session.mechanism} as {work.target.user}"
        work.report.facts["mechanism"] = session.mechanism
        work.report.logged_in = True
        if len(session.tried) > 1:
            step.details.append(("refused", ", ".join(session.tried[:-1])))


def _ask(work: CheckContext) -> tuple[str, bool]:
    """Return the password, and whether the prompt lasted longer than the server's idle timeout."""
    ask = work.question.password
    assert ask is not None
    begun = time.monotonic()
    password = ask()
    took = time.monotonic() - begun
    work.idle += took
    work.more_time(took)
    return password, took > FRESH


def _until_free(work: CheckContext, step: Step, password: str) -> None:
    """Log in; where the maildrop is locked, wait as long as was asked for."""
    credentials = Credentials(work.target.user, password)
    first = begun = time.monotonic()
    until = first + work.question.wait
    while True:
        try:
            return work.run(login.log_in(work.session, credentials))
        except RemoteError as error:
            if error.id != "locked" or time.monotonic() + RETRY > until:
                raise
        time.sleep(RETRY)
        work.idle += time.monotonic() - begun
        begun = time.monotonic()
        step.details = [("waited", f"{wording.age(begun - first)} for the mailbox lock")]
        _connect_again(work)


def _connect_again(work: CheckContext) -> None:
    """Connect anew: some servers hang up after a refusal."""
    before = work.session
    work.online.close()
    work.wire = connect.reconnect(work, work.session.options)
    work.session.inherit_secrets(before)
    work.online.begin()
    work.run(sessions.prepare_login(work.session))


def _explain(work: CheckContext, step: Step, error: RemoteError, password: str) -> None:
    step.details.append(("tried", ", ".join(work.session.tried) or "nothing"))
    step.details += [("also", other) for other in error.others]
    failed = work.session.refused
    if error.code in ("", "AUTH") and isinstance(error, ServerRefusedError) and len(failed) > 1:
        text = f"these are {len(failed)} failed logins for fail2ban; --mechanism tries only one"
        step.details.append(("note", text))
    if found := _URL.search(error.text):
        step.details.append(("see", found[0].rstrip(".,")))
    if error.id == "auth-noreply" and error.command.upper().startswith("USER"):
        step.details.append(("note", "the password had not been sent yet, so it is not the cause"))
    if error.id in ("auth-failed", "auth-oauth"):
        step.details += [("hint", hint) for hint in hints(work.target.user, password)]
    if error.id == "auth-oauth":
        offered = [name for name in work.session.mechanisms if "OAUTH" in name]
        if offered:
            step.details.append(("offered", ", ".join(offered)))
    if error.id == "locked":
        step.details.append(
            ("wait", suggestions.check_command(work.question, flags=("--wait", "60")))
        )


def hints(user: str, password: str) -> list[str]:
    """Return what may be wrong with a name and a password, without showing any of it."""
    found = []
    if "@" in user:
        found.append(
            f'some servers require only the part before the "@": {user.rpartition("@")[0]}'
        )
    else:
        found.append("some servers require the whole address as the name")
    if user != user.strip():
        found.append("the name begins or ends with a space")
    if password != password.strip():
        found.append("the password begins or ends with a space")
    if "\u00a0" in password + user:
        found.append("the password has a no-break space, as text copied from a web page can have")
    if not password.isascii():
        found.append("the password has characters beyond ASCII, which servers handle differently")
    if any(c in password for c in "\u200b\ufeff\u200e"):
        found.append("the password has an invisible character")
    return found
