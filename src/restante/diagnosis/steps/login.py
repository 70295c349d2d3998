"""Logging in, and the hints that go with a refusal."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from restante.client import login
from restante.client import session as sessions
from restante.client.credentials import Credentials
from restante.client.token_source import is_token_refused, renew_token, request_token
from restante.diagnosis import suggestions, wording
from restante.diagnosis.context import CheckAborted
from restante.diagnosis.steps import connect
from restante.diagnosis.steps.greeting import leave_capa_out
from restante.net.host_names import ascii_domain, display_host
from restante.protocol.errors import (
    ConnectionLostError,
    LocalError,
    Phase,
    RemoteError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step

T = TypeVar("T")

RETRY = 3.0  # seconds between two tries at a locked maildrop
FRESH = 5.0  # seconds at a prompt, after which a session is opened anew: servers wait a minute

_URL = re.compile(r"https?://[^\s\"'<>()]+")


def log_in(check: CheckContext) -> None:
    """Log in with the best mechanism, by the password or by a token."""
    with check.step("login") as step:
        _require_possible(check, step)
        password, is_old = _get_secret(check)
        try:
            if is_old:
                _connect_again(check)
            try:
                _until_accepted(check, step, password)
            except ConnectionLostError as error:
                leave_capa_out(check, error)
                _until_accepted(check, step, password)
        except LocalError as error:
            check.fail(step, RemoteError("auth-unsent", str(error), phase=Phase.LOGIN))
            raise CheckAborted from error
        except RemoteError as error:
            if check.session.tried:
                _explain(check, step, error, password)
            raise
        session = check.session
        step.text = f"{session.mechanism} as {check.target.user}"
        check.report.facts["mechanism"] = session.mechanism
        check.report.logged_in = True
        if len(session.tried) > 1:
            step.details.append(("refused", ", ".join(session.tried[:-1])))


def _require_possible(check: CheckContext, step: Step) -> None:
    """Raise RemoteError: a known provider accepts no password that anybody could type now."""
    request = check.request
    if request.password_named or request.auth is not None or check.target.loopback:
        return
    from restante.diagnosis import provider_advice

    provider = provider_advice.provider_of(check.target.host)
    if provider is None or not provider.flows:
        return
    if provider_advice.requires_sign_in(provider):
        text = f"{provider.name} accepts no password for POP, and no sign-in is stored"
    elif not request.can_ask:
        text = f"{provider.name} requires a sign-in or an app password, and neither is there"
    else:
        return
    step.details += provider_advice.advice(provider, request.account)
    raise RemoteError("auth-oauth", text, phase=Phase.LOGIN)


def _get_secret(check: CheckContext) -> tuple[str, bool]:
    """Return the password or a token, and whether that lasted longer than servers wait."""
    callback = check.request.password
    assert callback is not None
    begun = time.monotonic()
    auth = check.request.auth
    if auth is None:
        secret = callback()
        check.extend(time.monotonic() - begun)  # a person may have typed it
    else:
        secret = _ask_source(partial(request_token, auth, check.request.options, check.ends))
    took = time.monotonic() - begun
    check.idle += took
    return secret, took > FRESH


def _ask_source(call: Callable[[], T]) -> T:
    """Return what a source of tokens gives. Raises RemoteError: it has no token, or failed."""
    try:
        return call()
    except LocalError as error:
        raise RemoteError("oauth-store", str(error), phase=Phase.LOGIN) from None


def _until_accepted(check: CheckContext, step: Step, secret: str) -> None:
    """Log in; where a token is refused, once more with another one."""
    try:
        return _until_free(check, step, secret)
    except RemoteError as refused:
        auth = check.request.auth
        renewed = None
        if auth is not None and is_token_refused(refused):
            options = check.request.options
            renewed = _ask_source(partial(renew_token, auth, secret, options, check.ends))
        if renewed is None:
            raise
    step.details.append(("renewed", "the server refused the token, so a new one was requested"))
    _connect_again(check)
    return _until_free(check, step, renewed)


def _until_free(check: CheckContext, step: Step, password: str) -> None:
    """Log in; where the maildrop is locked, wait as long as was asked for."""
    credentials = Credentials(check.target.user, password)
    first = begun = time.monotonic()
    until = first + check.request.wait
    while True:
        try:
            return check.run(login.log_in(check.session, credentials))
        except RemoteError as error:
            if error.id != "locked" or time.monotonic() + RETRY > until:
                raise
        time.sleep(RETRY)
        check.idle += time.monotonic() - begun
        begun = time.monotonic()
        step.details = [("waited", f"{wording.age(begun - first)} for the mailbox lock")]
        _connect_again(check)


def _connect_again(check: CheckContext) -> None:
    """Connect anew: some servers hang up after a refusal."""
    before = check.session
    check.connection.close()
    check.driver = connect.reconnect(check, check.session.options)
    check.session.inherit_secrets(before)
    check.connection.begin()
    check.run(sessions.prepare_login(check.session))


def _explain(check: CheckContext, step: Step, error: RemoteError, password: str) -> None:
    if check.session.options.token and is_token_refused(error):
        from restante.diagnosis.token_refusals import assign_verdict

        assign_verdict(error, password, check.target, ask=check.request.deep)
    tried, user = ", ".join(check.session.tried), check.target.user
    step.details.append(("tried", f"{tried} as {user}" if user else tried))
    step.details += [("also", other) for other in error.others]
    failed = check.session.refused
    if error.code in ("", "AUTH") and isinstance(error, ServerRefusedError) and len(failed) > 1:
        text = f"these are {len(failed)} failed logins for fail2ban; --mechanism tries only one"
        step.details.append(("note", text))
    if match := _URL.search(error.text):
        step.details.append(("see", match[0].rstrip(".,")))
    if error.id == "auth-noreply" and error.command.upper().startswith("USER"):
        step.details.append(("note", "the password had not been sent yet, so it is not the cause"))
    if error.id == "auth-plain-refused" and check.session.tls is not None:
        text = "this connection has TLS, but the server does not know of it: see below"
        step.details.append(("note", text))
    if error.id in ("auth-failed", "auth-refused", "auth-oauth", "auth-apppw"):
        _advise(check, step, error, password)
    if error.id == "auth-oauth":
        offered = [name for name in check.session.mechanisms if "OAUTH" in name]
        if offered:
            step.details.append(("offered", ", ".join(offered)))
    if error.id == "locked":
        step.details.append(
            ("wait", suggestions.check_command(check.request, flags=("--wait", "60")))
        )


def _advise(check: CheckContext, step: Step, error: RemoteError, password: str) -> None:
    """Add what may be wrong with a name and a password, and what the provider offers."""
    if error.id != "auth-apppw":
        step.details += [("hint", hint) for hint in hints(check.target.user, password)]
    if check.target.loopback:
        return
    from restante.diagnosis import provider_advice

    provider = provider_advice.provider_of(check.target.host)
    if provider is not None:
        step.details += provider_advice.advice(provider, check.request.account)


def hints(user: str, password: str) -> list[str]:
    """Return what may be wrong with a name and a password, without showing any of it."""
    local, at, domain = user.rpartition("@")
    other, written = _ascii_form(domain), display_host(domain)
    table = (
        (at, f'some servers require only the part before the "@": {local}'),
        (not at, "some servers require the whole address as the name"),
        (user != user.lower(), "some servers distinguish capital letters in the name"),
        (at and other != domain, f"some servers know the name as {local}@{other}"),
        (at and written != domain, f"some servers know the domain only as it is read: {written}"),
        (
            not (local or user).isascii(),
            "the name has letters beyond ASCII, which many servers reject",
        ),
        (user != user.strip(), "the name begins or ends with a space"),
        (password != password.strip(), "the password begins or ends with a space"),
        (
            "\u00a0" in password + user,
            "the password has a no-break space, as text copied from a web page can have",
        ),
        (
            not password.isascii(),
            "the password has characters beyond ASCII, which servers handle differently",
        ),
        (
            any(c in password for c in "\u200b\ufeff\u200e"),
            "the password has an invisible character",
        ),
    )
    return [text for applies, text in table if applies]


def _ascii_form(domain: str) -> str:
    """Return a domain as the DNS has it, or as it is if it cannot be one."""
    try:
        return domain if domain.isascii() else ascii_domain(domain)
    except ValueError:
        return domain
