"""Every target, by name; each has a folder of that name in corpus."""

from __future__ import annotations

from pathlib import Path

from fuzz import (
    client_side,
    cost,
    delivery_side,
    forms,
    local_sockets,
    mail_read,
    mbox,
    server_side,
    stored,
)
from fuzz.target import Target

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"

TARGETS: dict[str, Target] = {
    **server_side.TARGETS,
    **cost.TARGETS,
    **delivery_side.TARGETS,
    **local_sockets.TARGETS,
    **client_side.TARGETS,
    **forms.TARGETS,
    **stored.TARGETS,
    **mbox.TARGETS,
    **mail_read.TARGETS,
}


def kept(name: str) -> list[Path]:
    """Return the files of the inputs that are kept for a target, in the same order everywhere."""
    return sorted((CORPUS / name).iterdir())
