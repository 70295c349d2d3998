"""Any file is read the same by all stores, and a removal removes nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from protocol import reference
from restante.storage.errors import StoreError
from restante.storage.mbox import MboxStore, from_line
from restante.storage.paths import Layout
from storage.mbox.box import FROM, Box
from storage.mbox.test_scanner import INTERNAL, PIECES

OLD = FROM.replace(b"2026", b"2016")
LENGTHS = [b"Content-Length: %d\n" % octets for octets in (0, 2, len(FROM), len(FROM) + 2, 200)]
OWN = [b"X-Restante-Mbox: copy=1 alone\n", b"X-Restante-Mbox: copy=999999999\n"]

pieces = st.lists(st.sampled_from([*PIECES, *LENGTHS, *OWN, FROM + b"x\n\n", OLD, INTERNAL]))
files = pieces.map(b"".join)


def seen(box: Box, store: MboxStore) -> list[tuple[str, int, bytes]] | None:
    """Return what a store shows; None if the file is not an mbox."""
    box.store = store
    try:
        uids, sizes, texts = box.uids(), box.sizes(), box.texts()
    except StoreError:
        return None
    assert len(set(uids)) == len(uids)
    assert sizes == [reference.size(text) for text in texts]
    return list(zip(uids, sizes, texts, strict=True))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files, st.sets(st.integers(0, 5), max_size=3), files)
@example(b"x\n\n", {0}, b"x\n" + FROM[:-1])
@example(INTERNAL, {0}, FROM[:-1])
def test_removal_keeps_the_rest(
    box: Box, octets: bytes, which: Sequence[int], added: bytes
) -> None:
    """A removal keeps all other messages, and stores that know the old file see the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_line, "BLOCK", 64)
        box.file.write_bytes(FROM + octets)
        store = MboxStore(Layout(box.root))
        before = seen(box, store)
        if before is None:
            return
        box.remove(*(index for index in which if index < len(before)))
        left = [known for index, known in enumerate(before) if index not in which]
        assert seen(box, store) == left
        assert seen(box, MboxStore(Layout(box.root))) == left
        with box.file.open("ab") as file:
            file.write(added)
        assert seen(box, store) == seen(box, MboxStore(Layout(box.root)))
