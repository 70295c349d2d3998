"""The place of an account's mail for Dovecot: `userdb_mail=` in its line."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import msgspec

from restante.auth.file.locks import EXTRAS

if TYPE_CHECKING:
    from pathlib import Path

_KEYS = ("userdb_mail", "userdb_mail_inbox_path", "userdb_mail_path", "userdb_mail_location")
_DRIVER = re.compile(r"(?:maildir|mbox|auto|sdbox|mdbox|dbox|imapc|pop3c):")
_VARIABLE = re.compile(r"%(?:L?([undh])|\{([a-z|]+)\})")  # in the forms of 2.3 and of 2.4
_HOME = 3  # the place of the home folder after the hash, counted from 0


class MailLocation(msgspec.Struct, frozen=True, gc=False):
    """A setting, and the folder or file that it names; "" where that depends on unknown things."""

    key: str
    place: str

    def describe_mismatch(self, mail_folder: Path | None) -> str | None:
        """Return in words that mail does not lie there but `here`; None where it is the same."""
        is_same_place = mail_folder is not None and os.path.realpath(
            self.place or "/"
        ) == os.path.realpath(mail_folder)
        if is_same_place:
            return None
        reason = (
            f"lies in {mail_folder}"
            if mail_folder is not None
            else "lies where [mail] folder and layout say"
        )
        return f"{self.key}= has no effect: the mail {reason}"


def find_mail_location(name: str, others: list[str]) -> MailLocation | None:
    """Return where a line says that the mail lies; None where it does not."""
    pairs = others[EXTRAS - 2].split() if len(others) > EXTRAS - 2 else []
    settings = dict(pair.partition("=")[::2] for pair in pairs)
    key = next((key for key in _KEYS if key in settings), None)
    if key is None:
        return None
    return MailLocation(
        key, _parse_location(settings[key], name, settings.get("userdb_home") or others[_HOME])
    )


def _parse_location(setting: str, name: str, home: str) -> str:
    """Return the folder or file of a mail_location; "" where it depends on what is unknown here."""
    location, *options = _DRIVER.sub("", setting, count=1).split(":")
    inbox = [option.removeprefix("INBOX=") for option in options if option.startswith("INBOX=")]
    local, at, domain = name.rpartition("@")
    values = {"u": name, "n": local if at else name, "d": domain if at else "", "h": home}
    values |= {"user": name, "user|username": values["n"], "user|domain": values["d"]}
    place = _VARIABLE.sub(
        lambda match: values.get(match[1] or match[2], match[0]), (inbox or [location])[0]
    )
    if place == "~" or place.startswith("~/"):
        place = home + place[1:] if home else ""
    return "" if "%" in place else place
