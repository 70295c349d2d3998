"""Fixtures of pytest: a POP3 and SMTP server for each test. docs/reference/pytest.md lists them.

pytest loads this module in each run on a machine with Restante, so it imports nothing but pytest: a
fixture imports the rest when a test asks for it.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from restante.misbehave import Fault
    from restante.misbehave.smtp.fault import SmtpFault
    from restante.testing import MemoryAccount, MemoryServer, TrustedAuthority

SERVERS = pytest.StashKey[list["MemoryServer"]]()
MAX_LINES = 500  # of a transcript in a report
MARKS = (
    "pop3(**options): options of restante.testing.serving for the server of this test",
    "pop3_faults(*patterns): run this test once for each fault that matches, such as 'retr-*'",
    "smtp_faults(*patterns): the same for faults of SMTP, such as 'smtp-message-*'",
)
FAULT_MARKS = {"pop3_faults": "pop3_fault", "smtp_faults": "smtp_fault"}
"""The fixture of each mark."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the mark `pop3_faults` or `smtp_faults` once for each fault."""
    for name, fixture in FAULT_MARKS.items():
        marks = list(metafunc.definition.iter_markers(name))
        if not marks and fixture not in metafunc.fixturenames:
            continue
        example = "retr-*" if name == "pop3_faults" else "smtp-message-*"
        if not marks:
            raise pytest.UsageError(f"the fixture {fixture} needs the mark {name}({example!r})")
        if fixture not in metafunc.fixturenames:
            metafunc.fixturenames.append(fixture)
        patterns = [str(pattern) for mark in marks for pattern in mark.args]
        if not patterns:  # pytest would skip the test
            raise pytest.UsageError(f"the mark {name} names no fault; write {name}({example!r})")
        faults = _find_faults(name, patterns)
        ids = [fault.name for fault in faults]
        metafunc.parametrize(fixture, faults, ids=ids, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what clients and server said to the report of a test that failed."""
    report = yield
    if report.failed:
        for server in item.stash.get(SERVERS, []):
            lines = server.transcript.splitlines()
            left_out = [f"... ({len(lines) - MAX_LINES} lines)"] if len(lines) > MAX_LINES else []
            text = "\n".join(left_out + lines[-MAX_LINES:])
            if text:
                report.sections.append(("POP3 and SMTP sessions", text))
    return report


@pytest.fixture
def pop3_fault(request: pytest.FixtureRequest) -> Fault:
    """Return the fault that the server of this test has: see the mark `pop3_faults`."""
    fault: Fault = request.param
    return fault


@pytest.fixture
def smtp_fault(request: pytest.FixtureRequest) -> SmtpFault:
    """Return the fault of SMTP that the server of this test has: see the mark `smtp_faults`."""
    fault: SmtpFault = request.param
    return fault


@pytest.fixture
def pop3_server(request: pytest.FixtureRequest) -> Iterator[MemoryServer]:
    """Give a POP3 and SMTP server for this test alone, with the options of the mark `pop3`."""
    from restante.testing import serving

    options: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("pop3"))):
        options |= mark.kwargs
    if hasattr(request.node, "callspec") and "pop3_fault" in request.node.callspec.params:
        options["fault"] = request.getfixturevalue("pop3_fault").name
    if "mailbox" in request.fixturenames:
        options.setdefault("any_account", True)
    with serving(**options) as server:
        if hasattr(request.node, "callspec") and "smtp_fault" in request.node.callspec.params:
            server.misbehave(request.getfixturevalue("smtp_fault").name)
        request.node.stash.setdefault(SERVERS, []).append(server)
        yield server


@pytest.fixture
def pop3_account(pop3_server: MemoryServer) -> MemoryAccount:
    """Return the account "ann" of the server of this test, without mail."""
    return pop3_server.account()


@pytest.fixture
def mailbox(pop3_server: MemoryServer) -> MemoryServer:
    """Return the server of this test, where any name can log in with any password, too."""
    return pop3_server


@pytest.fixture(scope="session")
def pop3_ca() -> TrustedAuthority:
    """Return the authority that signs the certificates of all servers of this test run."""
    from restante.testing import TrustedAuthority

    return TrustedAuthority()


def _find_faults(mark: str, patterns: Sequence[str]) -> list[Fault | SmtpFault]:
    """Return the faults that patterns mean. Raises UsageError: a pattern means none."""
    catalogue, find = _catalogue(mark)
    fault_by_name: dict[str, Fault | SmtpFault] = {}
    for pattern in patterns:
        names = fnmatch.filter(catalogue, pattern)
        fault_by_name |= {name: catalogue[name] for name in names}
        if names:
            continue
        try:
            fault = find(pattern)
        except ValueError as error:
            raise pytest.UsageError(f"{mark}({pattern!r}): {error}") from None
        fault_by_name[fault.name] = fault
    return list(fault_by_name.values())


def _catalogue(
    mark: str,
) -> tuple[Mapping[str, Fault | SmtpFault], Callable[[str], Fault | SmtpFault]]:
    """Return the faults of a mark, and what goes from a text to one of them."""
    if mark == "smtp_faults":
        from restante.misbehave.smtp.catalogue import SMTP_FAULTS
        from restante.misbehave.smtp.finding import find_smtp

        return SMTP_FAULTS, find_smtp
    from restante.misbehave.finding import NAMED, find

    return NAMED, find
