"""An error that no code expects: it ends the run of one account, and its traceback is kept."""

from __future__ import annotations

import os
import traceback
from datetime import datetime
from typing import TYPE_CHECKING

import click

from restante.cli.output.terminal import plain
from restante.durable_folders import make_private_folder
from restante.fetch.account_lock import file_name
from restante.system_errors import explain_path

if TYPE_CHECKING:
    from pathlib import Path

BUG = 15  # the exit code
MAX_OCTETS = 65_536  # of a traceback that is kept


def describe_bug(error: BaseException, folder: Path, account: str) -> str:
    """Return the message about an error, and write its traceback into a file of the account.

    The file is in a folder, which is made if it is missing, and has the last traceback alone. If it
    cannot be written, the traceback goes to standard error.
    """
    what = plain(traceback.format_exception_only(error)[-1].strip().split("\n")[0])
    lines = "".join(traceback.format_exception(error))
    path = folder / f"{file_name(account)}.traceback"
    try:
        _write(path, lines)
        you = f"Report this bug of pop3 with its traceback, which is in {path}."
    except OSError as failed:
        click.echo(f"{explain_path(path, failed)}\n{lines}", err=True)
        you = "Report this bug of pop3 with its traceback, which was printed."
    return f"FAIL bug  The program failed at this account.\n  what  {what}\n  you   {you}"


def _write(path: Path, lines: str) -> None:
    from restante import __version__

    head = f"pop3 {__version__}, {datetime.now().astimezone().isoformat(timespec='seconds')}\n"
    octets = (head + lines).encode("utf-8", "backslashreplace")
    make_private_folder(path.parent)
    draft = path.with_name(f"{path.name}.new")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as written:
        written.write(octets[-MAX_OCTETS:])
    os.replace(draft, path)
