"""Units of systemd that fetch accounts. systemd.service(5), systemd.timer(5)."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PLAIN = re.compile(r"[^\s\"'\\;]+")

UNITS = """\
# Save the two parts in ~/.config/systemd/user/, then for an account NAME of accounts.toml:
#   systemctl --user enable --now pop3-fetch@NAME.timer
# Rename an account whose name has other characters than letters, digits and any of -_.:@

# ~/.config/systemd/user/pop3-fetch@.service
[Unit]
Description=Fetch the mail of %i

[Service]
Type=oneshot
ExecStart={command} fetch --log -{state} %i
KillMode=mixed
SuccessExitStatus=130

# ~/.config/systemd/user/pop3-fetch@.timer
[Unit]
Description=Fetch the mail of %i every 5 minutes

[Timer]
OnStartupSec=1min
OnUnitInactiveSec=5min
RandomizedDelaySec=30s

[Install]
WantedBy=timers.target
"""


def systemd_units(journal: Path | None) -> str:
    """Return the text of a service and a timer, with the path of this command.

    `journal` is that of --state, None for the usual one. A stop lets the message under way end, so
    its command gets no signal, and is not a failure.
    """
    state = ""
    if journal:
        path = os.path.abspath(journal).replace("$", "$$")  # in arguments, "$" begins a variable
        state = f" --state {_quote(path)}"
    return UNITS.format(command=_quote(shutil.which("pop3") or sys.argv[0]), state=state)


def _quote(path: str) -> str:
    """Return a path as ExecStart has it: "%" is special, and a blank ends a word."""
    escaped = path.replace("%", "%%")
    if _PLAIN.fullmatch(escaped):
        return escaped
    return '"' + escaped.replace("\\", r"\\").replace('"', r"\"") + '"'
