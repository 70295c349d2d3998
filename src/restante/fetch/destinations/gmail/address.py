"""Which mailbox at Gmail mail goes to, as the URL of a destination says it.

`gmail:USER@gmail.com`, with settings such as `?label=old&date=header`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from restante.fetch.destinations.url_settings import ANY, parse_settings
from restante.net.addresses import is_loopback

EXAMPLE = "gmail:ann@gmail.com?label=old"
_SETTINGS = {
    "label": ANY,
    "date": ("header", "received"),
    "never_mark_spam": ("false", "true"),
    "api": ANY,
}


@dataclass(frozen=True, slots=True)
class GmailAddress:
    """A mailbox, and how messages are filed there.

    Attributes:
        user: its address.
        label: the name of the label that each message gets, "" for none.
        header_date: sort a message by its Date field, rather than by the time of its import.
        never_mark_spam: keep every message out of the folder for spam.
        api: the URL of a double of the API on this machine, for tests; "" for Google's.
    """

    user: str
    label: str = ""
    header_date: bool = False
    never_mark_spam: bool = False
    api: str = ""

    def __str__(self) -> str:
        return f"Gmail of {self.user}"


def parse_gmail_url(url: str) -> GmailAddress:
    """Return the address in a URL. Raises ValueError: it is invalid; the text shows the form."""
    base, _, query = url.partition("?")
    user = unquote(base.partition(":")[2])
    local, at, domain = user.rpartition("@")
    if not at or not local or ":" in local or "/" in user:
        raise ValueError(f"the mailbox is missing; write for example {EXAMPLE}")
    settings = {name: value for name, (value,) in parse_settings(query, _SETTINGS).items()}
    return GmailAddress(
        user=f"{local}@{domain.lower()}",
        label=settings.get("label", ""),
        header_date=settings.get("date") == "header",
        never_mark_spam=settings.get("never_mark_spam") == "true",
        api=_check_api(settings.get("api", "")),
    )


def _check_api(url: str) -> str:
    """Return the URL of a double. Raises ValueError: it is not on this machine."""
    parts = urlsplit(url)
    if url and (parts.scheme != "http" or not is_loopback(parts.hostname or "") or parts.path):
        raise ValueError(f"api is {url!r}; use http://127.0.0.1:PORT, a double for tests")
    return url
