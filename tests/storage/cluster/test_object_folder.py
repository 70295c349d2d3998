"""Bodies in a folder: durable, whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from restante.storage import fs
from restante.storage.cluster.bodies import BodyEntry, MissingBodyError, ObjectBodies, new_name
from restante.storage.errors import ForbiddenError, FullError, StoreError

T = TypeVar("T")

LETTER = b"Subject: a\r\n\r\nhello\r\n"


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_body_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The octets are durable before the name, and the name before the end of the call."""
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def note_fsync(file: int) -> None:
        calls.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{file}')).relative_to(tmp_path)}")
        fsync(file)

    def note_rename(*args: Any, **options: Any) -> None:
        calls.append("rename")
        rename(*args, **options)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "rename", note_rename)
    name = new_name()
    run(ObjectBodies(str(tmp_path), None).put(name, LETTER, owner="ann"))
    made, synced, renamed, named = calls[-4:]
    assert (made, renamed, named) == ("fsync .", "rename", f"fsync {name[:3]}")
    assert synced.startswith(f"fsync tmp/{name}")


def test_a_file_names_its_owner(tmp_path: Path) -> None:
    """An administrator can see whose a file is, and take the message out of it."""
    name = new_name()
    run(ObjectBodies(str(tmp_path), None).put(name, LETTER, owner="ann@example.com"))
    header, _, message = (tmp_path / name[:3] / name).read_bytes().partition(b"\n")
    assert (header.strip(), len(header), message) == (b"ann@example.com", 511, LETTER)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "rename", "open"])
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A failed write raises the store's error, and leaves no file."""
    kinds = {errno.ENOSPC: FullError, errno.EACCES: ForbiddenError}

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    bodies = ObjectBodies(str(tmp_path), None)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StoreError) as caught:
        run(bodies.put(new_name(), LETTER, owner="ann"))
    monkeypatch.undo()
    assert type(caught.value) is kinds.get(number, StoreError)
    assert os.strerror(number) in str(caught.value)
    assert files(tmp_path) == []


def test_a_write_that_was_killed_leaves_no_body(tmp_path: Path) -> None:
    """The file of a killed write is not listed, and is removed after 36 hours."""
    (tmp_path / "tmp").mkdir()
    old, new = tmp_path / "tmp" / "old", tmp_path / "tmp" / "new"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    bodies = ObjectBodies(str(tmp_path), None)

    async def put_and_list() -> list[BodyEntry]:
        await bodies.put("a" * 32, LETTER, owner="ann")
        return [entry async for entry in bodies.list()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fs, "STALE", -1)
        assert [entry.name for entry in run(put_and_list())] == ["a" * 32]
    assert files(tmp_path) == [tmp_path / "aaa" / ("a" * 32)]


def test_a_folder_that_is_not_mounted_is_no_missing_body(tmp_path: Path) -> None:
    """A folder that went away is an error that passes, not a body that is missing."""
    folder = tmp_path / "mount"
    folder.mkdir()
    bodies = ObjectBodies(str(folder), None)
    folder.rmdir()
    for work in (bodies.get(new_name()), bodies.put(new_name(), LETTER, owner="ann")):
        with pytest.raises(StoreError) as caught:
            run(work)
        assert not isinstance(caught.value, MissingBodyError)
        assert not caught.value.permanent


def test_files_of_root_belong_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    """Bodies that root imports can be read by the server, which runs as the owner of the folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(tmp_path, 65534, 65534)
    run(ObjectBodies(str(tmp_path), None).put("a" * 32, LETTER, owner="ann"))
    assert {path.stat().st_uid for path in tmp_path.rglob("*")} == {65534}


def test_an_owner_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    """The first line of a file has 511 octets for the owner."""
    with pytest.raises(StoreError, match="too long"):
        run(ObjectBodies(str(tmp_path), None).put(new_name(), LETTER, owner="x" * 600))
