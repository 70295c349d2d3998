"""The HTML of a message as a document for a frame: it runs nothing and fetches nothing.

The document is shown as it was sent, and its own policy, which the browser enforces, keeps it
harmless: no scripts, no forms, no requests. So a developer sees what a mail program gets. Only two
things are renamed, since no policy stops them. A link element makes the browser look up a name, or
connect, ahead of a request (rel=preconnect). The document of srcdoc can have such elements, too.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
POLICY = (
    f"sandbox {SANDBOX}; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
MAX_INLINED = 32 * 1024 * 1024  # octets of images, all uses counted

_CID = re.compile(r"""(["'(=]\s{0,9})cid:([^"'()<>\s]{1,250})""", re.IGNORECASE)
_HEAD = re.compile(r"<head(?:\s[^<>]{0,500})?>", re.IGNORECASE)
_DOCTYPE = re.compile(r"\s{0,200}<!doctype[^<>]{0,500}>", re.IGNORECASE)
_LINK = re.compile(r"<link\b", re.IGNORECASE)
_NO_LINK = "<basefont"  # parsers close it as a link element, and no browser gives it a meaning
_SRCDOC = re.compile(r"srcdoc(?=\s*=)", re.IGNORECASE)
_TARGET = '<base target="_blank">'  # a link opens beside the page, not in the frame


def document(page: str, images: Mapping[str, tuple[str, bytes]]) -> str:
    """Return the HTML `page` with its inline images within it.

    `images` has type and octets by Content-ID.
    """
    room = MAX_INLINED

    def inline(match: re.Match[str]) -> str:
        nonlocal room
        kind, octets = images.get(unquote(match[2]), ("", b""))
        if not kind.startswith("image/") or len(octets) > room:
            return match[0]
        room -= len(octets)
        return f"{match[1]}data:{kind};base64,{base64.b64encode(octets).decode()}"

    text = _SRCDOC.sub("no-srcdoc", _LINK.sub(_NO_LINK, _CID.sub(inline, page)))
    place = _HEAD.search(text) or _DOCTYPE.match(text)
    end = place.end() if place else 0
    return f"{text[:end]}{_TARGET}{text[end:]}"
