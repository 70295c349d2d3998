"""Certificates: loaded, chosen by name, and loaded again when their files change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from restante.server.keypair import CertificateError, load, stamp

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from restante.server.keypair import Loaded, Pair, Profile

CHECK_EVERY = 1.0  # seconds between two looks at the files


class Certificates:
    """The certificates of a listener; the first one serves who asks for no name that we have.

    `warn` is called with words when files changed and cannot be used; the old ones stay in use.
    Raises CertificateError.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        profile: Profile = "modern",
        client_ca: Path | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._pairs = pairs
        self._profile = profile
        self._client_ca = client_ca
        self._warn = warn
        self._refused: dict[Pair, str] = {}  # why; told once
        self._end_points: WeakKeyDictionary[ssl.SSLContext, bytes] = WeakKeyDictionary()
        self.reload()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection; its callback chooses by the name asked for."""
        if time.monotonic() - self._looked_at >= CHECK_EVERY:
            self.look()
        return self._loaded[0].context

    def look(self) -> None:
        """Load again each pair whose files have changed, or could not be used when they had."""
        self._looked_at = time.monotonic()
        for place, loaded in enumerate(self._loaded):
            if stamp(loaded.pair, self._client_ca) == loaded.stamp:
                continue
            try:
                self._loaded[place] = self._load(loaded.pair)
            except CertificateError as error:
                self._refuse(loaded.pair, str(error))

    def reload(self) -> None:
        """Load all files again, changed or not. Raises CertificateError: then nothing changes."""
        self._looked_at = time.monotonic()
        self._loaded = [self._load(pair) for pair in self._pairs]

    def end_point(self, context: ssl.SSLContext) -> bytes:
        """Return the binding data of the certificate that a connection used, if it has some."""
        return self._end_points.get(context, b"")

    def _load(self, pair: Pair) -> Loaded:
        loaded = load(pair, self._profile, self._client_ca)
        self._refused.pop(pair, None)
        self._end_points[loaded.context] = loaded.end_point
        if len(self._pairs) > 1:
            loaded.context.sni_callback = self._choose
        return loaded

    def _refuse(self, pair: Pair, problem: str) -> None:
        if self._refused.get(pair) != problem:
            self._refused[pair] = problem
            self._warn(problem)

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        for loaded in self._loaded:
            if name and _matches(name.lower(), loaded.names):
                connection.context = loaded.context
                return


def _matches(name: str, names: frozenset[str]) -> bool:
    return name in names or f"*.{name.partition('.')[2]}" in names
