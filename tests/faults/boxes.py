"""The stores that every fault is tried on."""

from __future__ import annotations

from collections.abc import Mapping

from faults.mbox import Mbox
from faults.stores import Box, Maildir

BOXES: Mapping[str, Box] = {"maildir": Maildir(), "mbox": Mbox()}
