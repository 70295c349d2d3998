"""The toolbox at servers that misbehave: an error is a message, never a traceback or an escape.

CI runs a sample of the faults, and `make client-faults` all of them.
"""

from __future__ import annotations

import pytest

from restante.misbehave import Fault
from restante.misbehave.driver import PASSWORD, USER, serving
from support.command import pop3
from support.faults import chosen_faults

IN_CLEAR = [fault for fault in chosen_faults() if fault.security == "any"]


@pytest.mark.parametrize("fault", IN_CLEAR, ids=lambda fault: fault.name)
def test_ls(fault: Fault) -> None:
    """`pop3 ls` ends in time, with rows or with a message that a terminal can show."""
    endless = fault.silent or fault.name.endswith("-endless")  # each header of 200000 takes time
    limit = ["-m", "1"] if endless else []
    with serving(fault) as server:
        ran = pop3("ls", *limit, f"pop3://{USER}@{server.host}:{server.port}", password=PASSWORD)
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.out + ran.err
    assert ran.out or ran.err
