"""`pop3 monitor`: one line for Nagios and Icinga."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from restante.cli.errors import error_reporting
from restante.cli.options.account import AccountCommand, account_options, parse_account
from restante.cli.options.account_file import is_stored
from restante.cli.output.terminal import plain

if TYPE_CHECKING:
    from restante.diagnosis.report import Report

OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
TOTAL = 30.0  # seconds: what monitoring systems wait, and less
WHOLE = 1000  # values from this one are shown without a fraction
PASSING = ("locked", "login-delay")  # nothing is broken, and nothing was measured


class Measure(NamedTuple):
    """A measured value: what it is, its unit in the performance data, and which side is bad."""

    meaning: str
    unit: str = ""
    less_is_worse: bool = False


MEASURES = {
    "cert": Measure("days until the certificate expires", less_is_worse=True),
    "token": Measure("days until the sign-in ends", less_is_worse=True),
    "login": Measure("seconds for the login", "s"),
    "time": Measure("seconds for the whole check", "s"),
    "count": Measure("messages"),
    "size": Measure("octets", "B"),
    "age": Measure("seconds since the newest message arrived", "s"),
}
"""By the names of the thresholds."""

_THRESHOLD = re.compile(rf"({'|'.join(MEASURES)})=(\d+(?:\.\d+)?)")


class MonitorCommand(AccountCommand):
    """A command whose usage errors are UNKNOWN to a monitoring system."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; an error about them is a status line, too, and exits with 3."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.exit_code = UNKNOWN  # type: ignore[misc]  # click's way is a class for each code
            click.echo(_status_line(UNKNOWN, error.format_message()))
            raise


@click.command(cls=MonitorCommand)
@click.argument("account", required=False)
@click.option("-H", "server", metavar="HOST", help="Connect to this server, like --host.")
@click.option(
    "-p",
    "at_port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Connect to this port, like --port.",
)
@click.option(
    "-w",
    "warning",
    multiple=True,
    metavar="WHAT=N",
    help="Set a threshold for WARNING, e.g. cert=14; may be repeated.",
)
@click.option(
    "-c",
    "critical",
    multiple=True,
    metavar="WHAT=N",
    help="Set a threshold for CRITICAL, e.g. cert=3; may be repeated.",
)
@account_options
def monitor(
    account: str | None,
    *,
    server: str | None,
    at_port: int | None,
    warning: tuple[str, ...],
    critical: tuple[str, ...],
    **params: Any,
) -> None:
    """Print one status line for Nagios or Icinga.

    The line includes performance data. Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    Thresholds are cert and token (days left), login and time (seconds), count, size (octets), age
    (seconds since the newest message): -w cert=14 -c cert=3 -w login=2.
    """
    context = click.get_current_context()
    try:
        limits = [(WARNING, *_threshold(text)) for text in warning]
        limits += [(CRITICAL, *_threshold(text)) for text in critical]
        params["host"], params["port"] = params["host"] or server, params["port"] or at_port
        if not account and not params["host"]:
            raise click.UsageError("missing ACCOUNT; name one, or a host with -H")
        login = bool(params["user"]) or (account is not None and _is_account(account, params))
        report = _report(account or params["user"] or params["host"], params, login=login)
    except click.ClickException as error:
        click.echo(_status_line(UNKNOWN, error.format_message()))
        context.exit(UNKNOWN)
    state, text = evaluate(report, limits)
    click.echo(f"{_status_line(state, text)} | {performance(report, limits)}")
    context.exit(state)


def _status_line(state: int, text: str) -> str:
    """Return the line without performance data. Only before these may it have a "|"."""
    return f"POP3 {WORDS[state]} - {plain(text).replace('|', '/')}"


def _is_account(name: str, params: dict[str, Any]) -> bool:
    """Return whether the name means an account, not only a server."""
    return "@" in name or bool(params["host"]) or is_stored(name)


def _report(account: str, params: dict[str, Any], *, login: bool) -> Report:
    from restante.diagnosis.run import examine

    parsed = parse_account(account, params, TOTAL, login=login)
    request = parsed.request()
    request.sample, request.warn_expiring = 1, False  # -w cert says when it is
    if login:
        parsed.add_login(request)
    with error_reporting():
        report = examine(request)
        end = parsed.auth.known_end() if parsed.auth and report.logged_in else None
    if end is not None:
        report.facts["token"] = {"ends": end.at, "why": end.why}
    return report


def _threshold(text: str) -> tuple[str, float]:
    match = _THRESHOLD.fullmatch(text)
    if not match:
        raise click.UsageError(
            f"invalid threshold {text!r}; use cert=14, token=7, login=2, time=5, count=100, size=N"
            " or age=N"
        )
    return match[1], float(match[2])


def measurements(report: Report) -> dict[str, float]:
    """Return what was measured, by the names of the thresholds."""
    values: dict[str, float] = {"time": report.seconds}
    certificate = report.facts.get("tls", {}).get("certificate")
    if certificate:
        values["cert"] = certificate["days_left"]
    if "token" in report.facts:
        values["token"] = (report.facts["token"]["ends"] - time.time()) / 86400
    login = next((s.seconds for s in report.steps if s.phase == "login"), None)
    if login is not None:
        values["login"] = login
    mailbox = report.facts.get("mailbox")
    if mailbox:
        values |= {"count": mailbox["messages"], "size": mailbox["octets"]}
        if mailbox["newest"] is not None:
            values["age"] = mailbox["newest"]
    return values


def evaluate(report: Report, limits: list[tuple[int, str, float]]) -> tuple[int, str]:
    """Return the state and a text for it: what failed, else what is over a threshold, else all."""
    failure = report.failure
    if failure is not None:
        state = WARNING if failure.id in PASSING else CRITICAL
        return state, f"{failure.id}: {failure.evidence}"
    values = measurements(report)
    over = [(state, _format_value(name, values[name])) for state, name, limit in limits
            if name in values and _is_worse(name, values[name], limit)]  # fmt: skip
    over += [(WARNING, f"{finding.id}: {finding.evidence}") for finding in report.warnings]
    if over:
        worst = max(state for state, _ in over)
        texts = dict.fromkeys(text for state, text in sorted(over, key=lambda o: -o[0]))
        return worst, "; ".join(texts)
    if missing := [name for _, name, _ in limits if name not in values]:
        return UNKNOWN, f"{', '.join(dict.fromkeys(missing))}: could not be measured"
    done = next((s.text for s in report.steps if s.phase == "mailbox"), "the server replies")
    return OK, done


def _is_worse(name: str, value: float, limit: float) -> bool:
    return value < limit if MEASURES[name].less_is_worse else value > limit


def _format_value(name: str, value: float) -> str:
    number = f"{value:.4g}" if value < WHOLE else f"{value:.0f}"
    return f"{number} {MEASURES[name].meaning}"


def _plain_number(value: float) -> str:
    """Return a number without an exponent, which monitoring systems would not read."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def performance(report: Report, limits: list[tuple[int, str, float]]) -> str:
    """Return the performance data: label=value[unit];warning;critical."""
    parts = []
    for name, value in measurements(report).items():
        measure = MEASURES[name]
        above = ":" if measure.less_is_worse else ""  # "14:" is alert below 14, "14" alert above
        bounds = [
            next((_plain_number(n) + above for s, w, n in limits if (s, w) == (state, name)), "")
            for state in (WARNING, CRITICAL)
        ]
        number = f"{value:.3f}" if name in ("time", "login") else f"{value:.0f}"
        parts.append(f"{name}={number}{measure.unit};{bounds[0]};{bounds[1]}")
    return " ".join(parts)
