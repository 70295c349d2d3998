"""Which processes of a server are named when they do not answer."""

from __future__ import annotations

import click
import pytest

from restante.cli.options.control import report_silent
from restante.server.control.asking import Replies
from restante.server.control.messages import ControlReply, NodeState


def test_silent_processes_with_the_same_id(capsys: pytest.CaptureFixture[str]) -> None:
    """A silent process is named once; one of another node that has its process id is named, too."""
    silent = [NodeState(node=name, worker=7, alive=True, seen=1) for name in ("here", "there")]
    asked = ControlReply(worker=8, node="here", silent=silent)
    with pytest.raises(click.exceptions.Exit):
        report_silent(Replies(received=[asked], silent=[7], nodes=asked))
    assert capsys.readouterr().err.splitlines() == [
        "Process 7 does not answer; its sessions are missing here.",
        "Process 7 of the node there does not answer; its sessions are missing here.",
    ]
