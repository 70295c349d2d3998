"""From a user's name to the folder with the user's mail, and never out of the mail root."""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path

from restante.storage.interfaces import StoreError

PLACES = ("user", "local", "domain")


@dataclass(frozen=True)
class Layout:
    """Where maildrops lie: a root, and a template of places below it.

    `{user}` is the whole name, `{local}` what stands before the last "@" and `{domain}` what stands
    after it: "{domain}/{local}/Maildir" is a common one.

    Without "{domain}", "{local}" serves one domain only.

    Raises ValueError: the template has another placeholder, none that distinguishes users, or would
    leave the root.
    """

    root: Path
    template: str = "{user}"

    def __post_init__(self) -> None:
        parts = list(string.Formatter().parse(self.template))
        places = {name for _, name, _, _ in parts if name is not None}
        plain = all(not spec and not conversion for _, _, spec, conversion in parts)
        if not places & {"user", "local"} or not places <= set(PLACES) or not plain:
            raise ValueError("a layout must contain {user}, or {local} and {domain}")
        if self.template.startswith("/") or ".." in Path(self.template).parts:
            raise ValueError("a layout must stay within the mail folder")
        object.__setattr__(self, "root", self.root.absolute())  # as the log shall name it

    def folder(self, owner: str) -> Path:
        """Return the folder of a user's mail.

        Raises StoreError: the name cannot be used in a path, or lacks a part that is asked for.
        """
        local, _, domain = owner.rpartition("@")
        parts = {"user": owner, "local": local or owner, "domain": domain if local else ""}
        for place, part in parts.items():
            if "{" + place + "}" in self.template and not _is_safe(part):
                raise StoreError(
                    f"no folder can be named after the {place} {part!r}", permanent=True
                )
        return self.root / self.template.format(**parts)


def _is_safe(part: str) -> bool:
    """Tell whether this may be a folder's name: one step down, visible, printable."""
    return part.isprintable() and "/" not in part and part[:1] not in ("", ".")
