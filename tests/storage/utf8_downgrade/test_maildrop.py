"""Headers in UTF-8 for clients that did not ask for them: rfc6856-s2/downgrade,
policy/utf8-headers.
"""

from __future__ import annotations

import asyncio
import email.policy
import email.utils
import inspect
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.protocol.server.maildrop import MessageList
from restante.protocol.server.needs import Body
from restante.protocol.stuffing import size_on_wire
from restante.storage.errors import MessageGoneError, StoreError, Utf8Error
from restante.storage.maildir import MaildirStore
from restante.storage.memory import MemoryMaildrop, MemoryStore
from restante.storage.paths import Layout
from restante.storage.utf8_downgrade import ascii_header
from restante.storage.utf8_downgrade.maildrop import (
    LONGEST_HEADER,
    DowngradeCache,
    DowngradedMaildrop,
    downgrade,
)

UTF8 = (
    "From: Jürgen Groß <juergen@example.com>\r\n"
    "To: Ann <ann@example.com>, Dörte <dörte@bücher.example>\r\n"
    "Subject: Grüße aus Köln,\r\n und noch mehr Grüße\r\n"
    "X-Plain: left as it is\r\n\r\n"
).encode()
BODY = "Äpfel\r\n.\r\n".encode()


class Pieces:
    def __init__(self, stored: bytes, size: int) -> None:
        self._pieces = [stored[i : i + size] for i in range(0, len(stored), size)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        pass


class InPieces:
    """A maildrop of one message that comes in pieces."""

    def __init__(self, stored: bytes, size: int) -> None:
        self.contents = MessageList((size_on_wire([stored]),), ("one",))
        self._stored = stored
        self._size = size

    def read(self, index: int, lines: int | None = None) -> Body:
        return Pieces(self._stored, self._size)

    async def remove(self, indexes: Sequence[int]) -> None:
        raise AssertionError

    async def correct_sizes(self, sizes: object) -> None:
        raise AssertionError

    def release(self) -> None:
        pass


def test_a_stand_in_is_ascii_and_says_the_same() -> None:
    """The downgraded header is ASCII and has the same meaning."""
    found = downgrade(UTF8)
    assert found is not None
    octets, header = found
    assert octets == len(UTF8)
    assert header.isascii()
    assert max(map(len, header.split(b"\r\n"))) <= 100
    read = email.message_from_bytes(header, policy=email.policy.default)
    assert read["subject"] == "Grüße aus Köln, und noch mehr Grüße"
    assert read["from"].addresses[0].display_name == "Jürgen Groß"
    assert read["from"].addresses[0].addr_spec == "juergen@example.com"
    assert b"ann@example.com" in header
    assert b"@b" not in header
    assert read["x-plain"] == "left as it is"
    assert header.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("header", [b"", b"\r\n", b"Subject: a\n\n", b"Subject: a"])
def test_an_ascii_header_has_no_stand_in(header: bytes) -> None:
    """A header in ASCII is not changed."""
    assert downgrade(header) is None


@pytest.mark.parametrize(
    "header", [b"Subject: caf\xe9\n\n", b"\xff\n\n", b"\xff: x\n\n", b"From: \xff <\xfe@\xff>\n\n"]
)
def test_header_of_other_charset(header: bytes) -> None:
    """A header that is not UTF-8 becomes ASCII too."""
    found = downgrade(header)
    assert found is not None
    assert found[1].isascii()


def rewritten(field: str) -> str:
    """Return one field in ASCII, unfolded."""
    found = downgrade(f"{field}\r\n\r\n".encode())
    assert found is not None
    assert max(map(len, found[1].split(b"\r\n"))) <= 998
    return found[1].decode("ascii").removesuffix("\r\n\r\n").replace("\r\n", "")


@pytest.mark.parametrize(
    ("field", "written"),
    [
        (
            'From: "Doe, John" <john@x.de>, "Müller, Jörg" <mj@x.de>',
            'From: "Doe, John" <john@x.de>, =?utf-8?b?TcO8bGxlciwgSsO2cmc=?= <mj@x.de>',
        ),
        (
            'To: "a@b" <c@d.de>, ü <e@f.de>, "x \\"y" <g@h.de>',
            'To: "a@b" <c@d.de>, =?utf-8?b?w7w=?= <e@f.de>, "x \\"y" <g@h.de>',
        ),
        ('Cc: "Doe, J." <ü@x.de>', 'Cc: "Doe, J." removed:;'),
        ("Cc: ü@x.de", "Cc: Internationalized address removed:;"),
        ("To: Gruppe ü: a@b.de, c@d.de;", "To: Gruppe ?: a@b.de, c@d.de;"),
        ("Message-ID: <ü@x.de>", "Message-ID: <?@x.de>"),
        (
            'Content-Type: application/pdf; name="Übersicht.pdf"',
            "Content-Type: application/pdf; name*=utf-8''%C3%9Cbersicht.pdf",
        ),
        (
            'Content-Type: multipart/mixed; boundary="=_ü"',
            "Content-Type: multipart/mixed; boundary*=utf-8''%3D_%C3%BC",
        ),
    ],
)
def test_who_wrote_to_whom_and_what_it_is_stays_the_same(field: str, written: str) -> None:
    """RFC 2047 section 5, RFC 2231 section 4, RFC 6858."""
    assert rewritten(field) == written


def test_long_address_list() -> None:
    """A long list of addresses keeps each address, on lines of bounded length."""
    people = [f"ü{number} <a{number}@example.com>" for number in range(3000)]
    read = email.message_from_string(rewritten("To: " + ", ".join(people)) + "\n\n")
    found = email.utils.getaddresses([str(read["to"])])
    assert [address for _, address in found] == [f"a{number}@example.com" for number in range(3000)]


@given(
    st.sampled_from(["From", "To", "Content-Type", "Content-Disposition", "Subject", "Received"]),
    st.text(st.sampled_from('aü ,;:<>()[]"\\@.=?\t'), max_size=60),
)
def test_any_field_becomes_ascii(name: str, text: str) -> None:
    """Any text of a field becomes one field in ASCII."""
    found = downgrade(f"{name}: ü{text}\r\nX-Next: a\r\n\r\n".encode())
    assert found is not None
    read = email.message_from_bytes(found[1])
    assert read.keys() == [name, "X-Next"]
    assert not read.defects


def test_too_long_header_refused() -> None:
    """rfc6856-s2/downgrade: a header that is too long to be rewritten is refused."""

    async def session(*, refuse: bool) -> None:
        store = MemoryStore()
        header = b"X-Long: x\r\n" * (LONGEST_HEADER // 11 + 1)
        await store.deliver("ann", header + UTF8 + BODY)
        inner = await store.acquire("ann", 0)
        found = await DowngradeCache().find(inner, "ann")
        maildrop = DowngradedMaildrop(inner, found, refuse=refuse)
        assert maildrop.contents.utf8_only == {0}
        assert maildrop.contents.sizes == inner.contents.sizes
        with pytest.raises(Utf8Error):
            maildrop.read(0)

    asyncio.run(session(refuse=False))
    asyncio.run(session(refuse=True))


async def read_all(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    assert hasattr(body, "__aiter__")
    return b"".join([chunk async for chunk in body])


@pytest.mark.parametrize("size", [1, 2, 7, 100, 10_000])
def test_a_message_in_pieces_has_the_size_that_is_listed(size: int) -> None:
    """rfc6856-s2/list-size."""
    inner = InPieces(UTF8 + BODY, size)

    async def fetch() -> tuple[int, bytes]:
        found = await DowngradeCache().find(inner, "ann")
        maildrop = DowngradedMaildrop(inner, found, refuse=False)
        body = maildrop.read(0)
        assert not isinstance(body, bytes)
        assert asyncio.iscoroutine(body)
        return maildrop.contents.sizes[0], await read_all(await body)

    listed, fetched = asyncio.run(fetch())
    assert listed == len(fetched)
    assert fetched.endswith(b"\r\n\r\n" + BODY)
    assert fetched.removesuffix(BODY).isascii()


def test_what_is_refused_cannot_be_read_and_the_rest_can() -> None:
    """With `refuse`, messages with UTF-8 headers cannot be read, and the others can."""

    async def session() -> None:
        store = MemoryStore()
        for message in (b"Subject: a\n\n", UTF8 + BODY):
            await store.deliver("ann", message)
        inner = await store.acquire("ann", 0)
        found = await DowngradeCache().find(inner, "ann")
        maildrop = DowngradedMaildrop(inner, found, refuse=True)
        assert maildrop.contents.sizes == inner.contents.sizes
        assert maildrop.contents.uids == inner.contents.uids
        assert maildrop.contents.utf8_only == {1}
        assert maildrop.read(0) == b"Subject: a\n\n"
        with pytest.raises(Utf8Error):
            maildrop.read(1)
        await maildrop.remove([1])
        maildrop.release()
        assert len((await store.acquire("ann", 0)).contents.sizes) == 1

    asyncio.run(session())


class Unreadable:
    """A maildrop whose messages cannot be read as long as there is an `error`."""

    def __init__(self, inner: MemoryMaildrop, error: Exception | None) -> None:
        self.contents = inner.contents
        self.remove, self.correct_sizes, self.release = (
            inner.remove,
            inner.correct_sizes,
            inner.release,
        )
        self._inner = inner
        self.error = error

    def read(self, index: int, lines: int | None = None) -> Body:
        if index == 0 and self.error is not None:
            raise self.error
        return self._inner.read(index, lines)


def test_bound_of_what_is_remembered() -> None:
    """Headers are kept up to a sum of octets, and each session sees all of its own."""
    known = DowngradeCache(most_octets=1000)

    async def session() -> None:
        store = MemoryStore()
        for number in range(20):
            await store.deliver("ann", b"X-Number: %d\n" % number + UTF8 + BODY)
        found = await known.find(await store.acquire("ann", 0), "ann")
        assert len(found) == 20

    asyncio.run(session())
    assert 0 < known.octets <= 1000
    assert 0 < len(known) < 20


@pytest.mark.parametrize("refuse", [False, True])
@pytest.mark.parametrize("error", [MessageGoneError("gone"), StoreError("EIO"), OSError(5, "EIO")])
def test_unreadable_message(error: Exception, refuse: bool) -> None:
    """A message that cannot be read at login fails alone, and only when it is asked for."""

    async def session() -> None:
        store, known = MemoryStore(), DowngradeCache()
        for message in (UTF8 + BODY, b"Subject: a\n\n", UTF8 + BODY):
            await store.deliver("ann", message)
        inner = Unreadable(await store.acquire("ann", 0), error)
        found = await known.find(inner, "ann")
        maildrop = DowngradedMaildrop(inner, found, refuse=refuse)
        assert maildrop.contents.uids == inner.contents.uids
        assert maildrop.contents.utf8_only == ({2} if refuse else frozenset())
        assert maildrop.read(1) == b"Subject: a\n\n"
        body = maildrop.read(0)
        assert asyncio.iscoroutine(body)
        with pytest.raises(type(error)):
            await body
        inner.error = None
        body = maildrop.read(0)
        assert asyncio.iscoroutine(body)
        if refuse:
            with pytest.raises(Utf8Error):
                await body
        else:
            assert (await body).partition(b"\r\n\r\n")[0].isascii()
        assert set(await known.find(inner, "ann")) == {0, 2}

    asyncio.run(session())


@pytest.mark.parametrize("field", [b"To: \xc3\xbc" + b"(" * 990, b"Content-Type: \xc3\xbc/(" * 40])
def test_field_that_no_parser_takes(field: bytes) -> None:
    """A field on which the email package fails is written without its rules."""
    found = downgrade(field + b"\r\nSubject: a\r\n\r\n")
    assert found is not None
    assert found[1].isascii()
    assert found[1].endswith(b"\r\nSubject: a\r\n\r\n")


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Type: text/plain; \xc3\xbc " + b"(x)" * 320,
        b"To: " + b"\xc3\xbc <a@b>," * 100,
        b"Subject: " + b"\xc3\xbc" * 400,
    ],
)
def test_bound_on_parsing(field: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender decides only up to a bound how much is parsed: 1 MB took 8 s of processor time."""
    parsed: list[int] = []
    real = ascii_header.write_field

    def counted(name: bytes, text: str) -> str:
        parsed.append(len(text))
        return real(name, text)

    monkeypatch.setattr(ascii_header, "write_field", counted)
    header = (field + b"\r\n") * (LONGEST_HEADER // (len(field) + 2))
    found = downgrade(header + b"\r\n")
    assert found is not None
    assert found[1].isascii()
    assert 0 < sum(parsed) <= ascii_header.MAX_PARSED


@pytest.mark.parametrize(
    "field", [b"X: \xc3\xbc" + b"\n " * 100_000, b"To: \xc3\xbc" + b"a" * 100_000]
)
def test_long_field_takes_little_memory(field: bytes) -> None:
    """A sender decides how long a field is: it took 130 octets of memory for each of its octets."""
    tracemalloc.start()
    try:
        downgrade(field + b"\n\n")
        assert tracemalloc.get_traced_memory()[1] < 16 * len(field)
    finally:
        tracemalloc.stop()


def test_message_that_vanishes_from_a_maildir(tmp_path: Path) -> None:
    """Another program removes a message between the listing and the look at its header."""

    async def session() -> None:
        store = MaildirStore(Layout(tmp_path))
        for message in (UTF8 + BODY, b"Subject: a\n\n"):
            await store.deliver("ann", message)
        inner = await store.acquire("ann", 0)
        (tmp_path / "ann" / "new" / inner.contents.uids[0]).unlink()
        found = await DowngradeCache().find(inner, "ann")
        maildrop = DowngradedMaildrop(inner, found, refuse=False)
        body = maildrop.read(0)
        assert inspect.isawaitable(body)
        with pytest.raises(MessageGoneError):
            await body
        assert len(maildrop.contents.uids) == 2
        maildrop.release()

    asyncio.run(session())
