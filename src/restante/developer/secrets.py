"""The public part of a client's line: all but the secrets, which the protocol knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

STARS = "***"
NAMELESS = frozenset({"USER", "PASS", "APOP", "EHLO", "HELO", "LHLO"})
"""Verbs that stand alone in a list of commands: what follows names the client."""

_WORDS = re.compile(r"\s*(\S*)\s*(.*)", re.DOTALL)
_MISSPELT = re.compile(r"\W*(PASS|APOP|AUTH)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ShownCommand:
    """A line of a client as it may be shown, and as a command: "" for a continuation line."""

    text: str
    command: str


class LineRedaction:
    """Stars the secrets in the lines of one client.

    After AUTH each line is a secret until a verb of `verbs` comes: a server that does not answer as
    it should must not bring a password to light. "*" only cancels. What is after a misspelt PASS,
    APOP or AUTH is a secret, too, and so is what is after a CR without LF.
    """

    def __init__(self, verbs: Collection[str]) -> None:
        self._verbs = verbs
        self._authenticates = False

    def show(self, octets: bytes) -> ShownCommand:
        """Return what may be shown of a line, with or without its line end."""
        text = octets.removesuffix(b"\n").removesuffix(b"\r").decode(errors="backslashreplace")
        line, cr, more = text.partition("\r")
        if not more.strip("\r"):
            return self._show_line(text)
        shown = self._show_line(line)  # a client ends lines by CR alone: PASS may be among them
        return ShownCommand(f"{shown.text}{cr}{STARS}", shown.command)

    def _show_line(self, text: str) -> ShownCommand:
        words = _WORDS.match(text)
        assert words is not None
        verb, argument = words[1].upper(), words[2]
        if self._authenticates and verb not in self._verbs:
            return ShownCommand(text if text in ("*", "") else STARS, "")
        self._authenticates = verb == "AUTH"
        name = (argument.split(maxsplit=1) or [""])[0]
        match verb:
            case "PASS":
                return ShownCommand(f"PASS {STARS}", "PASS")
            case "APOP":
                return ShownCommand(f"APOP {name} {STARS}", "APOP")
            case "AUTH":
                initial = f" {STARS}" if name != argument else ""
                return ShownCommand(f"AUTH {name}{initial}".rstrip(), f"AUTH {name}".rstrip())
        if misspelt := _MISSPELT.match(text):  # "PASS:word" has a password, too
            self._authenticates = True
            return ShownCommand(f"{misspelt[0]}{STARS}", misspelt[1].upper())
        return ShownCommand(text, verb if verb in NAMELESS else f"{verb} {argument}".rstrip())
