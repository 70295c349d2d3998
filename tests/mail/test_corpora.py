"""Mail that other packages are tested with: all of it is read, shown and named.

The corpora are fetched, and nothing of them is kept here.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from restante.cli.output.message_view import lines_of
from restante.cli.output.terminal import plain
from restante.mail import fields, message
from restante.mail.filename import safe_name
from restante.mail.header import header_of

PACKAGES = ("django-mailbox==4.10.1", "hyperkitty==1.3.12", "mailbits==0.2.3", "talon==1.4.4")
SECONDS = 120  # for one package to come
LARGEST = 4 * 1024 * 1024  # octets of a file
SECONDS_A_MEGABYTE = 5.0  # of processor time, and the same for each message

_NAMED = re.compile(rb"(?:from|subject|received|to):", re.IGNORECASE)


def read_all(messages: list[bytes]) -> None:
    """Read messages in every way there is."""
    begun = time.process_time()
    for octets in messages:
        found = message.read(octets)
        assert all(plain(line) == line for line in lines_of(found))
        assert sum(part.end - part.begin for part in found.parts) <= len(octets)
        for part in found.parts:
            assert part.size == len(part.content)
            assert 0 < len(safe_name(part.name).encode()) <= 255
        summary = message.summary(octets)
        assert isinstance(summary.subject, str)
        header = header_of(octets)
        for name, value in header.items():
            assert name
            str(value).encode()
        whole = octets[: fields.split(octets).body]
        assert len(header.as_bytes()) <= len(whole) + 4 * whole.count(b"\n") + 1
    megabytes = sum(map(len, messages)) / 1024**2 + len(messages)
    assert time.process_time() - begun < SECONDS_A_MEGABYTE * megabytes


def mail_in(octets: bytes) -> list[bytes]:
    """Return a message, or those of an mbox; none if the octets are not mail."""
    header = octets[: fields.split(octets[:4096]).body]
    if not any(map(_NAMED.match, header.splitlines())):
        return []
    return re.split(rb"\n(?=From \S+ .*\d\d:\d\d)", octets)


@pytest.mark.parametrize("package", PACKAGES)
def test_package(package: str, tmp_path: Path) -> None:
    """Every message in the source of a package is read."""
    name = package.partition("==")[0]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    words = ["--no-binary", name, "--no-deps", "--dest", str(tmp_path), package]
    try:
        done = subprocess.run(
            [*pip, *words], timeout=SECONDS, check=False, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{package} did not come in {SECONDS} s")
    if done.returncode:
        pytest.skip(f"{package} cannot be fetched here: {done.stderr.strip()[-200:]}")
    messages: list[bytes] = []
    for archive in tmp_path.iterdir():
        with tarfile.open(archive) as members:
            for member in members:
                file = members.extractfile(member) if member.size <= LARGEST else None
                messages += mail_in(file.read()) if file else []
    assert len(messages) >= 5
    read_all(messages)


def test_of_python_itself() -> None:
    """Every message that Python's own email package is tested with is read."""
    found = importlib.util.find_spec("test")
    places = found.submodule_search_locations if found else None
    data = [Path(place, "test_email", "data") for place in places or ()]
    files = [file for folder in data if folder.is_dir() for file in folder.glob("msg_*")]
    if not files:
        pytest.skip("Python has no tests here: apt-get install libpython3-testsuite")
    read_all([file.read_bytes() for file in files])
