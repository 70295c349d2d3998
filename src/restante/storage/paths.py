"""From a user's name to the folder with the user's mail, and never out of the mail root."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from restante.junk import account_of, is_junk, junk_of
from restante.storage.errors import StoreError

PLACES = ("user", "local", "domain")


@dataclass(frozen=True)
class Layout:
    """Where maildrops lie: a root, and a template of places below it.

    `{user}` is the whole name, `{local}` what stands before the last "@" and `{domain}` what stands
    after it: "{domain}/{local}/Maildir" is a common one.

    Without "{domain}", "{local}" serves one domain only. `junk` is the template of the junk
    maildrops, "" for none.

    Raises ValueError: the template has another placeholder, does not distinguish users, or would
    leave the root.
    """

    root: Path
    template: str = "{user}"
    junk: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", self.root.absolute())  # as the log shall name it
        _check(self.template)
        if self.junk:
            _check(self.junk)
            if self.owner(self.folder(junk_of("local@domain"))) is not None:
                raise ValueError("another user's maildrop could have the path of a junk maildrop")

    def folder(self, owner: str) -> Path:
        """Return the folder of a user's mail.

        Raises StoreError: the name cannot be used in a path, or lacks a part that is asked for.
        """
        template = self.template
        if self.junk and is_junk(owner):
            owner, template = account_of(owner), self.junk
        local, _, domain = owner.rpartition("@")
        parts = {"user": owner, "local": local or owner, "domain": domain if local else ""}
        for place, part in parts.items():
            if "{" + place + "}" in template and not _is_safe(part):
                raise StoreError(
                    f"no folder can be named after the {place} {part!r}", permanent=True
                )
        return self.root / template.format(**parts)

    def is_subfolder(self, owner: str) -> bool:
        """Return whether a maildrop is a folder in the account's Maildir, as Maildir++ has them."""
        if not is_junk(owner):
            return False
        junk = Path(self.junk)
        return junk.parent == Path(self.template) and junk.name.startswith(".")

    def owner(self, place: Path) -> str | None:
        """Return the user whose mail would be at a place, None for a place of no user.

        Of "{local}" alone it is the local part: the template does not say which domain follows.
        """
        match = self._pattern.fullmatch(str(place.relative_to(self.root)))
        if match is None:
            return None
        parts = match.groupdict()
        local, domain = parts.get("local"), parts.get("domain")
        owner = parts.get("user") or (f"{local}@{domain}" if domain else str(local))
        try:
            return owner if self.folder(owner) == place else None
        except StoreError:
            return None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """The template, with a group for each placeholder."""
        pattern, names_before = "", set[str]()
        for text, name, _, _ in string.Formatter().parse(str(Path(self.template))):
            pattern += re.escape(text)
            if name is not None:
                character = "[^/@]" if name == "domain" else "[^/]"
                pattern += f"(?P={name})" if name in names_before else f"(?P<{name}>{character}+)"
                names_before.add(name)
        return re.compile(pattern, re.DOTALL)


def _check(template: str) -> None:
    """Raise ValueError: a template does not distinguish users, or leaves the root."""
    parts = list(string.Formatter().parse(template))
    places = {name for _, name, _, _ in parts if name is not None}
    plain = all(not spec and not conversion for _, _, spec, conversion in parts)
    if not places & {"user", "local"} or not places <= set(PLACES) or not plain:
        raise ValueError("a layout must contain {user}, or {local} and {domain}")
    if "user" not in places and not _separates(template):
        raise ValueError(
            "a layout must have / or @ between {local} and {domain}:"
            " two accounts could share a maildrop"
        )
    if template.startswith("/") or ".." in Path(template).parts:
        raise ValueError("a layout must stay within the mail folder")


def _separates(template: str) -> bool:
    """Return whether the end of a local part shows: of a.b@c and a@b.c, "{local}.{domain}" has one.

    A part of the path with one of both also shows where the other one begins.
    """
    for part in template.split("/"):
        names = {name for _, name, _, _ in string.Formatter().parse(part) if name is not None}
        if len(names) == 1:
            return True
    return re.search(r"\}[^{}/]*@[^{}/]*\{", template) is not None


def _is_safe(part: str) -> bool:
    """Return whether this may be a folder's name: one step down, visible, printable."""
    return part.isprintable() and "/" not in part and part[:1] not in ("", ".")
