"""`pop3 verify`."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed, error_reporting
from restante.cli.options.account import (
    AccountCommand,
    account_options_without,
    fill_options,
    parse_account,
)
from restante.cli.options.password import password_options
from restante.cli.options.values import TEXT, FilePath
from restante.cli.output.terminal import plain
from restante.cli.output.wrapping import is_terminal, wrap_hanging
from restante.cli.program import INTERRUPTED
from restante.file_kinds import is_folder
from restante.protocol.text import to_json
from restante.system_errors import find_reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from restante.cli.options.account import AccountArgs
    from restante.client.options import Target, Tls
    from restante.conformance.check import Check, Result
    from restante.conformance.context import ConformanceContext
    from restante.conformance.delivery import Deliver
    from restante.conformance.suite import Conformance

DEVIATIONS, USAGE, NO_NAME, UNREACHABLE, NO_TLS, UNUSABLE, REFUSED = 1, 2, 3, 4, 5, 6, 7

NOT_HERE = ("mechanism", "no_capa", "max_time", "connect_timeout", "timeout", "verbose")
"""Options of other commands: the checks have logins, time limits and conversations of their own."""

_WORDS = {"pass": ("ok", "green"), "fail": ("FAIL", "red"), "skip": ("-", "yellow")}


@click.command(cls=AccountCommand)
@click.argument("server", metavar="HOST", required=False)
@click.option("--maildir", type=FilePath(path_type=Path, file_okay=False), metavar="DIR",
              help="Deliver test messages by writing to the Maildir DIR of the user.")  # fmt: skip
@click.option("--lmtp", type=TEXT, metavar="ADDRESS",
              help="Deliver test messages by LMTP to host:port or a socket's path.")  # fmt: skip
@click.option("--deliver", "command", type=TEXT, metavar="COMMAND",
              help="Deliver test messages by COMMAND, on its standard input.")  # fmt: skip
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Run only this check, or the checks of this requirement; may be repeated.",
)
@click.option("--list", "listing", is_flag=True, help="List the checks, and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@account_options_without(*NOT_HERE)
@password_options
def verify(  # noqa: PLR0913  # one for each option
    server: str | None,
    *,
    maildir: Path | None,
    lmtp: str | None,
    command: str | None,
    only: tuple[str, ...],
    listing: bool,
    as_json: bool,
    **params: Any,
) -> None:
    """Test whether a POP3 server conforms to the RFCs.

    HOST is a server name, with a port if it is not 995, or a URL. Each check names the
    section of its RFC. With --user the checks that require a login run, too. With --maildir,
    --lmtp or --deliver the test delivers its own messages, compares them octet for octet, and
    deletes them. No other message is deleted.
    """
    from restante.conformance import suite

    checks = _select_checks(suite.CHECKS, only)
    if listing:
        _list_checks(checks, as_json=as_json)
        return
    if server is None:
        raise click.UsageError("missing argument HOST, the server to test; --list shows the checks")
    fill_options(params)
    account = parse_account(server, params, login=False)
    target = account.locate()
    context = _build_context(account, target)
    context.deliver = _delivery_method(maildir, lmtp, command, target)
    conformance = _run(context, checks, quiet=as_json)
    if as_json:
        click.echo(to_json(conformance.as_json(), indent=2))
    else:
        _show_end(conformance)
    click.get_current_context().exit(DEVIATIONS if conformance.count("fail") else 0)


def _list_checks(checks: list[Check], *, as_json: bool) -> None:
    if as_json:
        rows = [{"ids": list(c.ids), "name": c.name, "title": c.title} for c in checks]
        click.echo(to_json(rows, indent=2))
        return
    for check in checks:
        click.echo(f"{check.name:<18}  {check.source:<20}  {check.title}")


def _select_checks(checks: tuple[Check, ...], only: tuple[str, ...]) -> list[Check]:
    if not only:
        return list(checks)
    names = {text.lower() for text in only}
    known = {name for check in checks for name in (check.name, *check.ids)}
    if unknown := sorted(names - known):
        text = f"unknown check or requirement: {', '.join(unknown)}; --list shows all checks"
        raise click.UsageError(text)
    return [check for check in checks if names & {check.name, *check.ids}]


def _build_context(account: AccountArgs, target: Target) -> ConformanceContext:
    from restante.client.credentials import Credentials
    from restante.client.login import check_octets
    from restante.client.tls import verifying_context
    from restante.conformance.context import ConformanceContext
    from restante.conformance.raw_connection import ServerUnderTest

    host = _find_host(account, target)
    tls = _choose_tls(account, target, host)
    context = account.options.context or verifying_context()
    name = account.options.server_name or target.host
    with error_reporting():
        password = account.secret() if target.user else ""
        check_octets(Credentials(target.user, password))
    return ConformanceContext(
        ServerUnderTest(
            host, target.port, tls, context, name, target.user, password, account.sends_token
        )
    )


def _choose_tls(account: AccountArgs, target: Target, host: str) -> Tls:
    """Return how the checks use TLS. No password is sent without it, but to this machine."""
    options = account.options
    may_be_clear = options.insecure_plaintext or (target.loopback and not options.require_tls)
    if account.guess:
        from restante.client import port_probe

        if port_probe.identify_protocol(host, target.port, 2.0) == "TLS":
            return "implicit"
        may_be_clear = may_be_clear or not target.user
    elif target.tls != "starttls":
        return target.tls
    return "none" if may_be_clear else "starttls"  # the checks of STLS have their own connections


def _find_host(account: AccountArgs, target: Target) -> str:
    """Return the host to connect to: its address if an option or a look-up restricts it."""
    from restante.client import name_resolution

    options = account.options
    if target.looked_up or options.family or options.resolve:
        with error_reporting():
            return name_resolution.addresses(target, options)[0]  # looked up: never this machine
    return target.host


def _delivery_method(
    maildir: Path | None, lmtp: str | None, command: str | None, target: Target
) -> Deliver | None:
    """Return the way to deliver test messages, if any. Raises click.UsageError."""
    from restante.conformance import delivery

    if sum(option is not None for option in (maildir, lmtp, command)) > 1:
        raise click.UsageError("--maildir, --lmtp and --deliver exclude one another; use one")
    if (maildir or lmtp or command) and not target.user:
        raise click.UsageError("--maildir, --lmtp and --deliver require a login; add --user NAME")
    if maildir is not None:
        if not is_folder(maildir / "new"):
            raise click.UsageError(f'{maildir} is not a Maildir, because it has no folder "new"')
        return delivery.Maildir(maildir)
    if lmtp is not None:
        return delivery.Lmtp(lmtp, target.user)
    return delivery.DeliveryCommand(command) if command is not None else None


def _run(context: ConformanceContext, checks: list[Check], *, quiet: bool) -> Conformance:
    from restante.conformance import suite
    from restante.conformance.check import (
        Deviation,
        LoginRejectedError,
        NoReplyError,
        NotTestable,
    )
    from restante.conformance.delivery import DeliveryError

    try:
        with _signals_as_interruptions():
            return suite.run(context, checks, (lambda _: None) if quiet else _show_or_end)
    except _OutputError as error:
        raise error.cause from None
    except ssl.SSLCertVerificationError as error:
        text = f"TLS failed: {error.verify_message}; `pop3 probe` shows why, and -k ignores it"
        raise CommandFailed(text, NO_TLS) from None
    except ssl.SSLError as error:
        text = f"TLS failed: {error.reason or error}; `pop3 probe` shows why"
        raise CommandFailed(text, NO_TLS) from None
    except DeliveryError as error:
        raise CommandFailed(
            f"cannot deliver the test messages: {plain(str(error))}", USAGE
        ) from None
    except OSError as error:
        where = f"{context.server.host} port {context.server.port}"
        text = f"cannot connect to {where}: {find_reason(error)}; `pop3 probe` shows why"
        code = NO_NAME if isinstance(error, socket.gaierror) else UNREACHABLE
        raise CommandFailed(text, code) from None
    except NotTestable as why:
        text = f"cannot start the test: {plain(str(why))}; `pop3 check` shows why"
        raise CommandFailed(text, UNUSABLE) from None
    except Deviation as deviation:
        text = f"cannot start the test: {plain(str(deviation))}; `pop3 check` shows why"
        code = UNREACHABLE if isinstance(deviation, NoReplyError) else UNUSABLE
        code = REFUSED if isinstance(deviation, LoginRejectedError) else code
        raise CommandFailed(text, code) from None
    except KeyboardInterrupt:
        left = "Test messages may remain in the mailbox."
        state = left if context.delivered else "The test messages have been deleted."
        raise CommandFailed(f"Interrupted. {state}", INTERRUPTED) from None


@contextlib.contextmanager
def _signals_as_interruptions() -> Iterator[None]:
    """Let SIGTERM and the end of the terminal end a test as Ctrl-C does: it deletes its messages.

    A signal that the caller ignores, as `nohup` does, stays ignored.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    replaced = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


class _OutputError(Exception):
    """The results cannot be written. An OSError would be one of the connection."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _show_or_end(result: Result) -> None:
    """Show a result. Raises _OutputError."""
    try:
        _show(result)
    except OSError as error:
        raise _OutputError(error) from None


def _show(result: Result) -> None:
    word, color = _WORDS[result.verdict]
    sign = click.style(f"{word:<4}", fg=color, bold=result.verdict == "fail")
    wrap = is_terminal()
    head = f"  {word:<4}  {result.check.source:<20}  "
    lines = wrap_hanging(head, result.check.title, wrap=wrap)
    click.echo(f"  {sign}{lines[0][6:]}")
    lines = lines[1:]
    if result.evidence:
        lines += wrap_hanging(f"        {'':<20}  ", plain(result.evidence), wrap=wrap)
    for line in lines:
        click.echo(line)


def _show_end(conformance: Conformance) -> None:
    for problem in conformance.problems:
        click.echo(f"{click.style('WARN', fg='yellow', bold=True)}  {plain(problem)}")
    failed = conformance.count("fail")
    sign, color = ("FAIL", "red") if failed else ("OK", "green")
    click.echo(
        f"{click.style(sign, fg=color, bold=True)}  {plain(conformance.server)}: "
        f"{conformance.count('pass')} passed, {failed} failed, "
        f"{conformance.count('skip')} not testable"
    )
