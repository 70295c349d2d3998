"""`check` from the first look-up to QUIT."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Unpack

from restante.client import maildrop
from restante.client import session as sessions
from restante.client.maildrop import target_of
from restante.client.options import merge
from restante.diagnosis.context import CheckAborted, CheckContext
from restante.diagnosis.report import Report
from restante.diagnosis.request import DEEP_MOST, DEEP_RATE, DEEP_TURN, TOTAL, CheckRequest
from restante.diagnosis.steps import connect, greeting, login, mailbox, messages, tls
from restante.protocol.errors import (
    ConnectionLostError,
    MalformedReplyError,
    RemoteError,
    ReplyTimeoutError,
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
        TypeError: an option is unknown.
    """
    options.setdefault("total_seconds", TOTAL)
    target = target_of(account) if not isinstance(account, str) or "://" in account else None
    question = CheckRequest(
        str(account), target, merge(None, options), password=lambda: password, deep=deep
    )
    return examine(question)


def examine(
    question: CheckRequest, progress: Callable[[int, int], object] = lambda _done, _all: None
) -> Report:
    """Carry out a check and return its report. `progress` gets octets done and in total."""
    from restante.client.options import Target

    report = Report(question.account)
    target = question.target or Target(_PLACEHOLDER, 995, "implicit", question.account)
    work = CheckContext(question, report, target)
    work.limit = question.options.total_seconds or float("inf")
    work.ends = work.began + work.limit
    try:
        _go(work, progress)
    except CheckAborted:
        _note_skipped_login(work)
    finally:
        if work.wire is not None:
            work.wire.close()
        report.seconds = time.monotonic() - work.began - work.idle
        report.facts["host"], report.facts["port"] = work.target.host, work.target.port
    return report


def _go(work: CheckContext, progress: Callable[[int, int], object]) -> None:
    if work.question.target is None:
        connect.discover(work)
    connect.connect(work)
    if work.target.tls == "implicit":
        tls.implicit_tls_step(work)
    greeting.shorten_first_wait(work)
    greeting.greet(work)
    work.online.set_reply_timeout(work.question.options.reply_seconds)
    greeting.capabilities(work)
    tls.stls_step(work)
    if work.session.before_tls is not None:
        greeting.capabilities(work)
    if work.question.password is not None:
        login.log_in(work)
        box = mailbox.inspect(work)
        if work.question.deep:
            give_more_time(work, box)
            messages.fetch_all(work, box, progress)
        _leave(work, box)
    else:
        _say_goodbye(work)


def give_more_time(work: CheckContext, box: MaildropState) -> None:
    """Give a deep check time by what it has to fetch, where no time was set for it."""
    if work.question.options.total_seconds == TOTAL:
        more = sum(DEEP_TURN + entry.size / DEEP_RATE for entry in box.entries.values())
        more = min(more, DEEP_MOST)
        work.limit += more
        work.more_time(more)


def _leave(work: CheckContext, box: MaildropState) -> None:
    """QUIT where that removes nothing. Some servers hide what was fetched once QUIT was said."""
    if box.retrieved:
        return
    with work.step("quit") as step:
        work.online.limit_reply_timeout(maildrop.QUIT_SECONDS)
        try:
            work.online.run(sessions.leave(work.session))
        except (ConnectionLostError, ReplyTimeoutError) as error:
            step.text = f"no reply to QUIT: {error.text}; no message was marked"
            work.warn(step, "quit-noreply", step.text)
        except MalformedReplyError as error:
            if error.id == "not-stuffed":
                raise
            step.text = error.text
            work.warn(step, error.id, error.text)
        except RemoteError as error:
            step.text = error.text
            work.warn(step, error.id, error.text, {"code": error.code})
    if step.outcome == "ok":
        work.report.steps.remove(step)


def _say_goodbye(work: CheckContext) -> None:
    """QUIT without a login. Its reply does not matter."""
    work.online.limit_reply_timeout(maildrop.QUIT_SECONDS)
    try:
        work.online.run(sessions.leave(work.session))
    except RemoteError as error:
        work.trace("<", f"({error})")


def _note_skipped_login(work: CheckContext) -> None:
    """Say what was not tried, where the password would have been next."""
    failed = work.report.failure
    if failed is None or work.question.password is None or work.report.logged_in:
        return
    if failed.id.startswith(("tls-", "stls-")) and failed.id != "tls-on-plain":
        why = "skipped: an unverified server never gets the password"
        work.add_skipped_step("login", why)
