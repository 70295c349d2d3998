"""The temporary file of a message on its way to a destination."""

import errno
import os
import re
import tempfile
from pathlib import Path

import pytest

from restante.fetch import spool
from restante.fetch.interfaces import Content, DestinationUnavailableError, SourceMessage
from restante.fetch.spool import CHUNK, IN_MEMORY, Spool, SpooledDraft

MESSAGE = SourceMessage("work", "1001.M1.h", 10)


@pytest.fixture
def drafts(tmp_path: Path) -> Spool:
    """Return an open spool whose folder did not exist."""
    folder = Spool(str(tmp_path / "fetch" / "spool"))
    folder.open()
    return folder


def _fill(draft: SpooledDraft, octets: bytes) -> None:
    for start in range(0, len(octets), 10_000):
        draft.write(octets[start : start + 10_000])
    draft.finish(Content(len(octets), "", b""))


@pytest.mark.parametrize("size", [0, 1, CHUNK, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY])
def test_returns_what_was_written(drafts: Spool, size: int) -> None:
    """All octets come back, in bounded chunks, as often as they are read."""
    octets = os.urandom(size)
    draft = drafts.start(MESSAGE)
    _fill(draft, octets)
    for _ in range(2):
        chunks = list(draft.chunks())
        assert b"".join(chunks) == octets
        assert all(len(chunk) <= CHUNK for chunk in chunks)
    draft.rewind()
    assert draft.read(7) == octets[:7]
    assert draft.read() == octets[7:]
    assert draft.octets == size
    draft.discard()


def test_ids_for_ever(drafts: Spool) -> None:
    """The ids of a message never change: by them a second delivery is recognized."""
    draft = drafts.start(MESSAGE)
    draft.finish(Content(0, "", b"Message-ID: <1@x>\r\n\r\n"))
    assert MESSAGE.fetch_id == "6774536e8f1b8003e385c41f30a18bcd"
    assert draft.delivery_id == f"{MESSAGE.fetch_id}-10e2a05e"
    draft.discard()


@pytest.mark.parametrize("size", [100, 2 * IN_MEMORY])
def test_read_after_another_program(drafts: Spool, size: int) -> None:
    """A draft that a program has read by its descriptor is read again from its beginning."""
    octets = os.urandom(size)
    draft = drafts.start(MESSAGE)
    _fill(draft, octets)
    draft.rewind()
    assert draft.read(7) == octets[:7]
    with open(draft.descriptor(), "rb", closefd=False) as file:
        assert file.read() == octets
    assert b"".join(draft.chunks()) == octets
    draft.discard()


def test_leaves_no_file(drafts: Spool, tmp_path: Path) -> None:
    """No large draft has a name in the folder, and the folder is private."""
    draft = drafts.start(MESSAGE)
    _fill(draft, bytes(2 * IN_MEMORY))
    folder = tmp_path / "fetch" / "spool"
    assert not list(folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert str(folder) in _open_files()
    draft.discard()
    draft.discard()
    assert str(folder) not in _open_files()


def test_close_discards_all(drafts: Spool, tmp_path: Path) -> None:
    """Drafts that are left are discarded with the spool."""
    left = [drafts.start(MESSAGE), drafts.start(MESSAGE)]
    for draft in left:
        _fill(draft, bytes(2 * IN_MEMORY))
    drafts.close()
    assert str(tmp_path) not in _open_files()


def test_memory_is_bounded(drafts: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than IN_MEMORY octets and one chunk of a message are in memory."""
    monkeypatch.setattr(spool, "IN_MEMORY", 1000)
    draft = drafts.start(MESSAGE)
    draft.write(bytes(1001))
    assert re.search(r"spool", _open_files())
    draft.discard()


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without space is an error that names the folder and the reason."""
    full = lambda **_: open("/dev/full", "wb")  # noqa: E731, SIM115
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", full)
    draft = Spool(str(tmp_path)).start(MESSAGE)
    with pytest.raises(DestinationUnavailableError, match=os.strerror(errno.ENOSPC)):
        _fill(draft, bytes(IN_MEMORY))
    draft.discard()


def test_folder_cannot_be_made(tmp_path: Path) -> None:
    """A folder below a file is an error that names it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationUnavailableError, match=r"file/spool.*Not a directory"):
        Spool(str(tmp_path / "file" / "spool")).open()


def test_folder_is_gone(drafts: Spool, tmp_path: Path) -> None:
    """A folder that was removed is an error, also for a draft whose octets need a file later."""
    draft = drafts.start(MESSAGE)
    (tmp_path / "fetch" / "spool").rmdir()
    with pytest.raises(DestinationUnavailableError, match="No such file"):
        drafts.start(MESSAGE)
    with pytest.raises(DestinationUnavailableError, match="No such file"):
        _fill(draft, bytes(2 * IN_MEMORY))
    draft.discard()


def _open_files() -> str:
    descriptors = "/proc/self/fd"
    names = []
    for name in os.listdir(descriptors):
        try:
            names.append(os.readlink(f"{descriptors}/{name}"))
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
    return "\n".join(names)
