"""The verdict of `pop3 check` on each fault is that of the catalogue.

CI runs a sample of the faults, and `make client-faults` all of them.
"""

from __future__ import annotations

import pytest

from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine
from restante.misbehave import Fault
from restante.misbehave.driver import PASSWORD, USER, serving
from support.faults import chosen_faults, client_options, client_target


@pytest.mark.parametrize("fault", chosen_faults(), ids=lambda fault: fault.name)
def test_verdict(fault: Fault) -> None:
    """A check names one of the ids of the row. Without any, it finds nothing that fails."""
    with serving(fault) as server:
        target, options = client_target(fault, server), client_options(fault, server)
        request = CheckRequest(
            USER, target, options, password=lambda: PASSWORD, deep=fault.deep, sample=2
        )
        report = examine(request)
    named = {report.id, *(warning.id for warning in report.warnings)}
    if fault.verdict:
        assert named & set(fault.verdict)
    else:
        assert report.failure is None
    if not fault.good_client.sends_password:
        assert not server.leaked
