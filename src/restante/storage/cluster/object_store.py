"""Bodies in S3, Google Cloud Storage or Azure, by obstore. No other module imports it.

The time limits of obstore are off: they hold for each attempt, and the default ones allow minutes.
`ObjectBodies` limits each call in total, and obstore repeats a request once.
"""

from __future__ import annotations

import contextlib
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import obstore
from obstore import exceptions
from obstore.store import MemoryStore, from_url

from restante.storage.cluster.bodies import BodyEntry, BodyOrigin, MissingBodyError
from restante.storage.cluster.objects_secret import parse_secret
from restante.storage.errors import ForbiddenError, FullError, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from restante.protocol.secret import Secret

SCHEMES = ("s3://", "gs://", "az://", "memory://")
IGNORES_CONDITIONS = (
    "the object store ignores conditional writes; Restante does not need them, but other programs"
    " that use this bucket may"
)
PAGE = 1000  # objects of a listing that are handled together

_PAUSE = timedelta(seconds=0.1)
_RETRY: Any = {
    "max_retries": 1,
    "backoff": {"init_backoff": _PAUSE, "max_backoff": _PAUSE, "base": 2.0},
}
_CLIENT: Any = {"timeout": "1h", "connect_timeout": "1h"}
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status(?: code)?: (\d{3})")
_CERTIFICATE = re.compile(r"(InvalidCertificate)")
_KIND = re.compile(r"kind: (\w+)")
_FULL = "the object store or its bucket is full; free some space, or raise the quota of the bucket"
_OVERLOADED = "the object store has too many requests now; raise its limits, or add servers to it"
_BROKEN = "the connection to the object store broke; check that it runs, and the network"
_REASONS = {
    "AccessDenied": "the key has too few rights; allow it to read, write, list and delete objects",
    "NoSuchBucket": "the bucket does not exist; create it, or correct cluster.objects",
    "NoSuchContainer": "the container does not exist; create it, or correct cluster.objects",
    "InvalidAccessKeyId": "the key is unknown; correct cluster.objects_secret_file",
    "SignatureDoesNotMatch": "the secret of the key is wrong; correct cluster.objects_secret_file",
    "RequestTimeTooSkewed": "the clocks of this node and of the object store differ; let NTP set"
    " both",
    "QuotaExceeded": _FULL,
    "507": _FULL,
    "SlowDown": _OVERLOADED,
    "503": _OVERLOADED,
    "Interrupted": _BROKEN,
    "Request": _BROKEN,
    "InvalidCertificate": "the certificate of the object store has another name, has expired, or is"
    " not trusted; correct it, or the endpoint in cluster.objects_secret_file",
    "Connect": "the object store cannot be reached; check that it runs, and its address",
}


class ObjectStore:
    """The objects below an address such as s3://BUCKET/PREFIX."""

    def __init__(self, url: str, secret: Secret | None) -> None:
        """Raise ValueError: the address or a setting is invalid."""
        if not url.startswith(SCHEMES):
            raise ValueError(f"{url} must begin with s3://, gs:// or az://, or be a folder")
        settings = parse_secret(secret)
        client = {**_CLIENT, **settings.client}
        self._store: Any
        try:
            if url.startswith("memory://"):
                self._store = MemoryStore()
            else:
                build: Any = from_url  # its types differ for each kind of store
                self._store = build(
                    url, config=settings.store, client_options=client, retry_config=_RETRY
                )
        except exceptions.UnknownConfigurationKeyError as error:
            unknown = [key for key in settings.store if key in str(error)]
            raise ValueError(f"{' or '.join(unknown)}: an unknown setting for {url}") from None
        except (exceptions.BaseError, ValueError, TypeError) as error:
            text = str(error).partition("\n")[0]
            if any(value and str(value) in text for value in settings.store.values()):
                text = "a setting is invalid"
            raise ValueError(f"{url} cannot be used: {text}") from None

    async def put(self, name: str, content: bytes, origin: BodyOrigin) -> None:
        """Write an object in one request. Raises StoreError."""
        attributes = {"owner": quote(origin.owner), "arrived": origin.arrived.isoformat()}
        with _store_errors("a body cannot be written", name):
            await obstore.put_async(
                self._store, name, content, attributes=attributes, use_multipart=False
            )

    async def read(self, name: str, start: int, end: int) -> tuple[bytes, int]:
        """Return a part of an object, and its size. Raises StoreError."""
        with _store_errors("a body cannot be read", name):
            try:
                response = await obstore.get_async(
                    self._store, name, options={"range": (start, end)}
                )
            except exceptions.GenericError:
                response = await obstore.get_async(self._store, name)  # an empty one has no ranges
                if response.meta["size"]:
                    raise
            size = response.meta["size"]
            return bytes(await response.bytes_async()), size

    async def delete(self, names: Sequence[str]) -> None:
        """Delete objects. Raises StoreError."""
        try:
            with _store_errors("bodies cannot be deleted", ""):
                await obstore.delete_async(self._store, list(names))
        except MissingBodyError:  # Google and Azure say so, and do not say of which
            for name in names:
                with contextlib.suppress(MissingBodyError), _store_errors("", name):
                    await obstore.delete_async(self._store, name)

    async def pages(self, after: str) -> AsyncIterator[Sequence[BodyEntry]]:
        """Yield the objects, a page at a time. Raises StoreError."""
        with _store_errors("bodies cannot be listed", ""):
            async for page in obstore.list(self._store, offset=after or None, chunk_size=PAGE):
                yield [
                    BodyEntry(meta["path"], meta["size"], meta["last_modified"]) for meta in page
                ]

    async def origin(self, name: str) -> BodyOrigin:
        """Return what the metadata of an object says. Raises StoreError."""
        with _store_errors("a body cannot be read", name):
            response = await obstore.get_async(self._store, name, options={"head": True})
            attributes = response.attributes
            arrived = response.meta["last_modified"]
            with contextlib.suppress(ValueError):
                arrived = datetime.fromisoformat(attributes.get("arrived", ""))
            return BodyOrigin(unquote(attributes.get("owner", "")), arrived)

    async def problems(self, name: str, content: bytes) -> list[str]:
        """Return whether the object store ignores conditions, with an object that exists."""
        with _store_errors("a body cannot be written", name):
            try:
                await obstore.put_async(self._store, name, content, mode="create")
            except exceptions.AlreadyExistsError:
                return []
        return [IGNORES_CONDITIONS]


@contextlib.contextmanager
def _store_errors(what: str, name: str) -> Iterator[None]:
    """Turn the errors of obstore into a store's. Their own texts may have keys and addresses."""
    try:
        yield
    except (exceptions.BaseError, OSError) as error:
        text = str(error)
        status = _first_match(_STATUS, text)
        kinds = (_first_match(kind, text) for kind in (_CERTIFICATE, _KIND))
        codes = [code for code in (_first_match(_CODE, text), status, *kinds) if code]
        code = next((each for each in codes if each in _REASONS), codes[0] if codes else "")
        if isinstance(error, FileNotFoundError) and code not in _REASONS:
            raise MissingBodyError(name) from None
        reason = _REASONS.get(code) or f"{type(error).__name__} ({code or 'of an unknown kind'})"
        kind = StoreError
        if _REASONS.get(code) == _FULL:
            kind = FullError
        elif status in {"401", "403"}:
            kind = ForbiddenError
        # the known reasons concern the whole store
        raise kind(f"{what}: {reason}", path="" if code in _REASONS else name) from None


def _first_match(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""
