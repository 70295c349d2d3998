"""A mail domain with one file, and the digests that its DNS has."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from restante.client.discovery.sources import NotFoundError


class DomainFiles:
    """A network in which the URLs that have `place` in them lead to the file.

    `digests` are files by the names of the TXT records that have their digests.
    """

    def __init__(
        self, octets: bytes, place: str = "", digests: Mapping[str, bytes] | None = None
    ) -> None:
        self.octets, self.place, self.digests = octets, place, digests or {}

    def fetch(self, url: str) -> bytes:
        if self.place not in url:
            raise NotFoundError("no such file")
        return self.octets

    def txt(self, name: str) -> list[str]:
        if name not in self.digests:
            raise NotFoundError("no such name")
        digest = base64.b64encode(hashlib.sha256(self.digests[name]).digest()).decode()
        return [f"v=UAAC1; a=sha256; d={digest}"]
