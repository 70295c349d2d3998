"""A disk after a power cut, by the calls that were made until then.

The weakest disk that POSIX allows: a name lasts once its folder was synced after it changed, octets
once their file was. Of all else each change may have reached the disk or not, in any order, a write
also by half. File systems with a journal keep more.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from faults.shim import CLIENT, Call

FEW = 5  # changes of which all choices are tried
DELETED = " (deleted)"  # the kernel adds it to the path of an open file that has no name any more


class Link(str):
    """One more name of the file at this path."""

    __slots__ = ()


Contents = Mapping[str, bytes | Link | None]  # by path below the root; None: it is a folder


class Target(bytes):
    """Where a symbolic link leads, in the place of a file's octets."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """A file or a folder, under whatever names."""

    folder: bool = False
    target: Target | None = None  # of a symbolic link, which lasts with its name


Place = tuple[Node, str]  # a name in a folder


@dataclass(slots=True)
class Disk:
    """Names and octets."""

    names: dict[Place, Node] = field(default_factory=dict)
    octets: dict[Node, bytes] = field(default_factory=dict)

    def copy(self) -> Disk:
        return Disk(self.names.copy(), self.octets.copy())

    def contents(self, root: Node) -> dict[str, bytes | Link | None]:
        """Return all that can be reached."""
        inside: dict[Node, list[tuple[str, Node]]] = {}
        for (folder, name), node in self.names.items():
            inside.setdefault(folder, []).append((name, node))
        found: dict[str, bytes | Link | None] = {}
        first: dict[Node, Link] = {}  # by file, a path
        left = [("", root)]
        while left:
            prefix, folder = left.pop()
            for name, node in inside.get(folder, ()):
                octets = node.target or self.octets.get(node, b"")
                path = Link(prefix + name)
                found[path] = None if node.folder else octets
                if first.setdefault(node, path) is not path and not node.folder:
                    found[path] = first[node]
                left.append((f"{prefix}{name}/", node))
        return found


@dataclass(frozen=True, slots=True)
class Named:
    """A node lost a name, or got one, or both at once."""

    node: Node
    old: Place | None
    new: Place | None

    @property
    def lasts_by(self) -> tuple[Node, ...]:
        """The nodes of which one must be synced for the change to last."""
        return tuple(place[0] for place in (self.old, self.new) if place)

    def apply(self, disk: Disk) -> None:
        if self.old and disk.names.get(self.old) is self.node:
            del disk.names[self.old]
        if self.new:
            disk.names[self.new] = self.node


@dataclass(frozen=True, slots=True)
class Written:
    """Octets of a file were written, or, without octets, it was cut to a length."""

    node: Node
    start: int
    octets: bytes | None

    @property
    def lasts_by(self) -> tuple[Node, ...]:
        """The nodes of which one must be synced for the change to last."""
        return (self.node,)

    def apply(self, disk: Disk) -> None:
        old = disk.octets.get(self.node, b"")
        kept = old[: self.start].ljust(self.start, b"\0")
        if self.octets is not None:
            kept += self.octets + old[self.start + len(self.octets) :]
        disk.octets[self.node] = kept

    @property
    def half(self) -> Written:
        """The same, torn."""
        return Written(self.node, self.start, self.octets and self.octets[: len(self.octets) // 2])


Change = Named | Written


class History:
    """All that was done to a disk, and what of it lasts."""

    def __init__(self, root: Path) -> None:
        """Begin with what is in a folder now, all of which lasts."""
        self._root = Node(folder=True)
        self._old = Disk()
        self._changes: list[Change] = []  # since then
        self._lasting: set[int] = set()  # places in that list
        nodes: dict[int, Node] = {}  # by inode
        for path in sorted(root.rglob("*")):
            place = self._place(str(path.relative_to(root)), self._old)
            target = Target(os.fsencode(path.readlink())) if path.is_symlink() else None
            node = nodes.setdefault(path.lstat().st_ino, Node(path.is_dir(), target))
            self._old.names[place] = node
            if not node.folder and target is None:
                self._old.octets[node] = path.read_bytes()
        self._now = self._old.copy()

    def add(self, call: Call) -> bool:
        """Note a call; tell whether a power cut after it may leave something else than before."""
        if not call.done or call.path == CLIENT or call.path.endswith(DELETED):
            return False
        if call.op == "fsync":
            return self._sync(self._node(call.path))
        change = self._change(call)
        if change is None:
            return False
        change.apply(self._now)
        self._changes.append(change)
        return True

    def contents(self) -> Iterator[Contents]:
        """Return what a power cut may leave now."""
        yield from (self._left(changes) for changes in self._choices())

    def _change(self, call: Call) -> Change | None:
        match call.op:
            case "open" if call.flags & os.O_CREAT and self._find(call.path) is None:
                return Named(Node(), None, self._place(call.path))
            case "open" if call.flags & os.O_TRUNC:
                return Written(self._node(call.path), 0, None)
            case "mkdir":
                return Named(Node(folder=True), None, self._place(call.path))
            case "symlink":
                return Named(Node(target=Target(call.data)), None, self._place(call.path))
            case "unlink" | "rmdir":
                return Named(self._node(call.path), self._place(call.path), None)
            case "link":
                return Named(self._node(call.path), None, self._place(call.other))
            case "rename":
                places = self._place(call.path), self._place(call.other)
                return Named(self._node(call.path), *places)
            case "write":
                return Written(self._node(call.path), call.offset, call.data)
            case "ftruncate":
                return Written(self._node(call.path), call.length, None)
        return None

    def _sync(self, node: Node) -> bool:
        fresh = {
            place
            for place, change in enumerate(self._changes)
            if place not in self._lasting and node in change.lasts_by
        }
        self._lasting |= fresh
        return bool(fresh)

    def _choices(self) -> Iterator[dict[int, Change]]:
        """Return which changes reached the disk, of those that were not waited for."""
        places = [place for place in range(len(self._changes)) if place not in self._lasting]
        for chosen in _some_of(places):
            yield {place: self._changes[place] for place in chosen}
        for torn in places:
            change = self._changes[torn]
            if isinstance(change, Written) and change.octets:
                before = {place: self._changes[place] for place in places if place < torn}
                yield {torn: change.half}
                yield {**before, torn: change.half}

    def _left(self, chosen: Mapping[int, Change]) -> Contents:
        disk = self._old.copy()
        for place, change in enumerate(self._changes):
            if place in chosen:
                chosen[place].apply(disk)
            elif place in self._lasting:
                change.apply(disk)
        return disk.contents(self._root)

    def _find(self, path: str) -> Node | None:
        return self._root if path == "." else self._now.names.get(self._place(path))

    def _node(self, path: str) -> Node:
        node = self._find(path)
        assert node is not None, f"nobody made {path}"
        return node

    def _place(self, path: str, disk: Disk | None = None) -> Place:
        names = (disk or self._now).names
        *folders, name = PurePosixPath(path).parts
        folder = self._root
        for part in folders:
            folder = names[folder, part]
        return folder, name


def _some_of(places: Sequence[int]) -> Iterator[Sequence[int]]:
    """Return all choices of a few; of many: none, all, the first ones, one, all but one."""
    if len(places) <= FEW:
        for count in range(len(places) + 1):
            yield from itertools.combinations(places, count)
        return
    yield from (places[:count] for count in range(len(places) + 1))
    yield from ([place] for place in places)
    yield from ([other for other in places if other != place] for place in places)
