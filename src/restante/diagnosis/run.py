"""A check, from the first look-up to QUIT."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Unpack

from restante.client import maildrop
from restante.client import session as sessions
from restante.client.credentials import require_text
from restante.client.maildrop import target_of
from restante.client.options import merge
from restante.diagnosis.context import CheckAborted, CheckContext
from restante.diagnosis.report import Report
from restante.diagnosis.request import DEEP_RATE, DEEP_TURN, MAX_DEEP, TOTAL, CheckRequest
from restante.diagnosis.steps import connect, greeting, login, mailbox, tls
from restante.protocol.errors import (
    ConnectionLostError,
    Phase,
    RemoteError,
    ReplyTimeoutError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.client.maildrop import MaildropState
    from restante.client.options import OptionArgs, Target

_PLACEHOLDER = "to be discovered"


def check(
    account: str | Target, password: str = "", *, deep: bool = False, **options: Unpack[OptionArgs]
) -> Report:
    """Return whether an account works and, if not, why. Nothing is changed.

    Args:
        account: a URL, a mail address or a `Target`, as for `connect`.
        password: the password, or a token with `token=True`.
        deep: fetch every message, and compare its octets with LIST's.
        options: those of `Options`, by name. `total_seconds` is 60 by default.

    What is wrong with the account is in the report, not raised.

    Raises:
        ValueError: the account or an option is invalid.
        TypeError: an option is unknown, or the account or the password is not text.
    """
    require_text("password", password)
    limited = "total_seconds" in options
    options.setdefault("total_seconds", TOTAL)
    target = target_of(account) if not isinstance(account, str) or "://" in account else None
    request = CheckRequest(
        str(account), target, merge(None, options), password=lambda: password, deep=deep
    )
    request.limited = limited
    return examine(request)


def examine(
    request: CheckRequest, progress: Callable[[int, int], object] = lambda _done, _all: None
) -> Report:
    """Carry out a check and return its report. `progress` gets octets done and in total."""
    from restante.client.options import Target

    report = Report(request.account)
    target = request.target or Target(_PLACEHOLDER, 995, "implicit", request.account)
    check = CheckContext(request, report, target)
    check.limit = request.options.total_seconds or float("inf")
    check.ends = check.began + check.limit
    try:
        _run_steps(check, progress)
    except CheckAborted:
        _note_skipped_login(check)
    finally:
        if check.driver is not None:
            check.driver.close()
        report.seconds = time.monotonic() - check.began - check.idle
        report.facts["host"], report.facts["port"] = check.target.host, check.target.port
    return report


def _run_steps(check: CheckContext, progress: Callable[[int, int], object]) -> None:
    if check.request.target is None:
        connect.discover(check)
    connect.connect(check)
    if check.target.tls == "implicit":
        tls.implicit_tls_step(check)
    greeting.greet(check)
    greeting.capabilities(check)
    tls.stls_step(check)
    if check.session.before_tls is not None:
        greeting.capabilities(check)
    if check.request.password is not None:
        login.log_in(check)
        box = mailbox.inspect(check)
        if check.request.deep:
            from restante.diagnosis.steps import messages

            give_more_time(check, box)
            messages.fetch_all(check, box, progress)
        _quit_after_login(check, box)
    else:
        _quit_without_login(check)


def give_more_time(check: CheckContext, box: MaildropState) -> None:
    """Give a deep check time for the octets that it fetches, unless the user set the time."""
    if not check.request.limited:
        extra_seconds = sum(DEEP_TURN + entry.size / DEEP_RATE for entry in box.entries.values())
        extra_seconds = min(extra_seconds, MAX_DEEP)
        check.limit += extra_seconds
        check.extend(extra_seconds)


def _quit_after_login(check: CheckContext, box: MaildropState) -> None:
    """Send QUIT, unless messages were fetched: some servers hide them after QUIT."""
    if box.retrieved:
        return
    with check.step("quit") as step:
        check.connection.limit_reply_timeout(maildrop.QUIT_SECONDS)
        try:
            check.connection.run(sessions.leave(check.session))
        except (ConnectionLostError, ReplyTimeoutError) as error:
            step.text = f"no reply to QUIT: {error.text}; no message was marked"
            check.warn(step, "quit-noreply", step.text)
        except ServerRefusedError as error:
            step.text = f'QUIT is rejected: "{error.said}"; no message was marked'
            check.warn(step, error.id, step.text, {"code": error.code})
        except RemoteError as error:
            if error.id == "not-stuffed":
                raise
            step.text = error.text
            check.warn(step, error.id, error.text)
    if step.outcome == "ok":
        check.report.steps.remove(step)


def _quit_without_login(check: CheckContext) -> None:
    """Send QUIT without a login. Its reply does not matter."""
    check.connection.limit_reply_timeout(maildrop.QUIT_SECONDS)
    try:
        check.connection.run(sessions.leave(check.session))
    except RemoteError as error:
        check.trace("<", f"({error})")


def _note_skipped_login(check: CheckContext) -> None:
    """Report that the login was skipped, because TLS failed before it."""
    failed = check.report.failure
    if failed is None or check.request.password is None or check.report.logged_in:
        return
    if failed.phase == Phase.LOGIN:
        return
    if failed.id.startswith(("tls-", "stls-")) and failed.id != "tls-on-plain":
        reason = "skipped: an unverified server never gets the password"
        check.add_skipped_step("login", reason)
