"""The exact commands to type next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restante.diagnosis.question import Question


def check(
    question: Question, host: str = "", port: int = 0, *, tls: str = "", flags: str = ""
) -> str:
    """Return a command like the one that asked, with another host, port or kind of TLS."""
    verb = "probe" if question.password is None else "check"
    target = question.target
    user = target.user if target else question.account
    host = host or (target.host if target else "")
    scheme = {"implicit": "pop3s", "starttls": "pop3"}.get(tls or (target.tls if target else ""))
    where = f"[{host}]" if ":" in host else host
    at = f"{user}@" if user else ""
    suffix = f":{port}" if port not in (0, 995 if scheme == "pop3s" else 110) else ""
    words = ["pop3", verb, f"{scheme}://{at}{where}{suffix}", *flags.split()]
    return shlex.join(words)
