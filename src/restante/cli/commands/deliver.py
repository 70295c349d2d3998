"""`pop3 deliver`: the pipe command, for MTAs and filters."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from restante.cli.options.server import MAIL_KEYS, mail_options, named_config_option, read_flags
from restante.cli.output.terminal import plain_lines, shorten_lines

if TYPE_CHECKING:
    from pathlib import Path

    from restante.delivery.deliverer import Deliverer
    from restante.delivery.replies import DeliveryReply
    from restante.server.config.schema import Config


class PipeCommand(click.Command):
    """A command whose exit codes MTAs understand.

    An unforeseen error exits with EX_TEMPFAIL: an MTA returns the mail for a code it does not know.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.exit_code = os.EX_USAGE  # type: ignore[misc]  # click has it for the class only
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an unforeseen error exits with EX_TEMPFAIL."""
        try:
            return super().invoke(ctx)
        except PermissionError as error:
            _end(os.EX_TEMPFAIL, f"4.3.5 permission denied: {error.filename or error.strerror}")
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:  # noqa: BLE001
            _end(os.EX_TEMPFAIL, f"4.3.0 internal error: {type(error).__name__}")


@click.command(cls=PipeCommand)
@click.argument("user")
@named_config_option
@mail_options
@click.option(
    "-f",
    "--sender",
    metavar="ADDRESS",
    help="Set the envelope sender, empty for a bounce.  [default: the message's From line or "
    "Return-Path]",
)
def deliver(user: str, file: Path | None, sender: str | None, **params: Path | str | None) -> None:
    """Deliver the message on standard input to USER.

    USER is a name or an address. Exit codes: 0 delivered and on disk, 64 usage error, 65 message
    too large, 67 unknown user, 75 temporary failure (retry later), 77 mail loop or over the quota.
    """
    from restante.delivery import replies
    from restante.server.config.loader import ConfigError
    from restante.storage.errors import StoreError

    try:
        outcome, causes = asyncio.run(_deliver(_config(file, params), user, sender))
    except ConfigError as error:
        _end(os.EX_TEMPFAIL, "\n  ".join(["4.3.5 Invalid configuration:", *error.problems]))
    except StoreError as error:  # it cannot be opened
        _end(os.EX_TEMPFAIL, f"4.3.0 {error}")
    if outcome is not replies.DELIVERED:
        text = f"{outcome.status} {outcome.text}"
        if causes and outcome.exit == os.EX_TEMPFAIL:  # for the MTA's log
            text += ": " + "\n".join(causes)
        _end(outcome.exit, text)


def _config(file: Path | None, params: dict[str, Path | str | None]) -> Config:
    from restante.server.config import loader

    return loader.load(file, read_flags(params, MAIL_KEYS))


async def _deliver(
    config: Config, user: str, sender: str | None
) -> tuple[DeliveryReply, list[str]]:
    """Return how the delivery ended, and the last problem, with the traces of errors of ours."""
    from restante.delivery.replies import DeliveryReply
    from restante.server.composition import backends
    from restante.server.log.loggers import command_logger
    from restante.storage.interfaces import open_store

    problems: list[str] = []
    traces: list[str] = []
    log = command_logger(problems.append, traces.append)
    deliverer = backends.build_deliverer(config, log)
    async with open_store(deliverer.store):
        outcome = await deliverer.resolve(user)
        if not isinstance(outcome, DeliveryReply):
            problems.clear()  # of other accounts, since this one exists
            outcome = await _deliver_input(
                deliverer, outcome, user, sender, config.delivery.message_size
            )
    return outcome, problems[-1:] + traces


async def _deliver_input(
    deliverer: Deliverer, owner: str, user: str, sender: str | None, most: int
) -> DeliveryReply:
    from restante.delivery import replies, trace_headers

    message = b""
    with contextlib.suppress(OSError):
        message = sys.stdin.buffer.read(most + 1)
    if not message:  # as of a filter that failed, or of a closed input
        return replies.NO_MESSAGE
    if len(message) > most:
        return replies.TOO_BIG
    message, named = trace_headers.strip_from_line(message)
    if sender is None:
        sender = named if named is not None else trace_headers.return_path(message) or ""
    return await deliverer.deliver(
        owner, message, trace_headers.Envelope(trace_headers.sender(sender), user), "pipe"
    )


def _end(code: int, text: str) -> NoReturn:
    """End with a code, and a text that begins with a status of RFC 3463.

    Postfix believes the status, and other MTAs the code.
    """
    click.echo(plain_lines(shorten_lines(text)), err=True)
    raise click.exceptions.Exit(code)
