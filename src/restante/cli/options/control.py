"""The options of commands that ask a running server, and the way to its control sockets."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from restante.cli.errors import invalid_configuration
from restante.cli.options.server import DEFAULT_CONFIG, FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.server.control.asking import Replies
    from restante.server.control.messages import Action, NodeState

F = TypeVar("F", bound="Callable[..., Any]")

DEFAULT_FOLDER = Path("/run/restante/control")
"""The folder of the sockets for users who may not read the configuration."""

INCOMPLETE = 1  # exit code: a process did not answer


def control_options(command: F) -> F:
    """Give a command --config and --control, as the `folder` of the control sockets."""

    @click.option(
        "-c",
        "--config",
        type=FILE,
        metavar="FILE",
        help=f"Find the server by the setting control.folder in FILE.  [default: {DEFAULT_CONFIG}]",
    )
    @click.option(
        "--control",
        type=FILE,
        metavar="DIR",
        help=f"Use the control sockets in DIR.  [default: by FILE, else {DEFAULT_FOLDER}]",
    )
    @functools.wraps(command)
    def run(*arguments: Any, config: Path | None, control: Path | None, **options: Any) -> Any:
        folder = control or find_folder(config)
        return command(*arguments, folder=folder, **options)

    return run  # type: ignore[return-value]


def find_folder(file: Path | None) -> Path:
    """Return the folder of the sockets. Raises click.UsageError: the configuration has none."""
    from restante.server.config import loader

    try:
        config = loader.load(file or DEFAULT_CONFIG, {})
    except loader.ConfigError as error:
        if file is None:  # missing, or readable for the user of the server only
            return DEFAULT_FOLDER
        raise invalid_configuration(error.problems) from None
    if config.control.folder is not None:
        return config.control.folder
    if file is None:
        return DEFAULT_FOLDER
    example = f'"{DEFAULT_FOLDER}"'
    raise click.UsageError(f"{file}: control.folder is not set; set it, such as to {example}")


def ask_server(folder: Path, action: Action, who: str = "") -> Replies:
    """Return what all processes of a server and of its cluster answer.

    Raises click.ClickException.
    """
    from restante.server.control import asking
    from restante.server.control.messages import ControlRequest

    try:
        return asyncio.run(asking.ask_everywhere(folder, ControlRequest(action=action, who=who)))
    except asking.ControlError as error:
        raise click.ClickException(str(error)) from None


def report_silent(replies: Replies) -> None:
    """Name the processes that did not answer, and those with an error; exit with 1 for them."""
    for pid in replies.silent:
        click.echo(f"Process {pid} does not answer; its sessions are missing here.", err=True)
    answers = list(replies.received)
    silent: list[NodeState] = []
    if replies.nodes is not None:
        answers.append(replies.nodes)
        named = {(replies.nodes.node, pid) for pid in replies.silent}
        silent = [node for node in replies.nodes.silent if (node.node, node.worker) not in named]
        lack = "its sessions are missing here"
        if replies.nodes.everywhere:
            lack = "it ends the sessions of the user when it is back"
        for node in silent:
            where = f"Process {node.worker} of the node {node.node}"
            click.echo(f"{where} does not answer; {lack}.", err=True)
    errors = [reply for reply in answers if reply.error]
    for reply in errors:
        click.echo(f"Process {reply.worker}: {reply.error}", err=True)
    if replies.silent or silent or errors:
        raise click.exceptions.Exit(INCOMPLETE)
