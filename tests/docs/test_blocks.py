"""Every shell block of the how-to pages runs as it stands, on a copy of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from support.programs import need, need_free
from support.shell_blocks import Block, blocks

ROOT = Path(__file__).parents[2]
SETUPS = ROOT / "tests/support/pages"
PAGES = [ROOT / "README.md", ROOT / "docs/tutorial.md", *sorted(ROOT.glob("docs/how-to/*.md"))]
RUN = [page for page in PAGES if any(block.mark != "not run" for block in blocks(page))]
INSTALL = ROOT / "docs/how-to/install.md"
HOSTS = ("mail.example.com", "example.com", "imap.example.com", "pop.provider.example")
PROGRAMS = "curl dovecot doveadm fail2ban-client git ip make nsenter rsync setpriv unshare"


def run_page(layers: list[Path], page: Path, setup: str, first: int, last: int) -> None:
    """Run the blocks between two lines of a page; they write to the last layer."""
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    command += [sys.executable, str(ROOT / "tests/support/sandbox.py"), ":".join(map(str, layers))]
    command += [setup, str(page), str(first), str(last)]
    here = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(command, capture_output=True, text=True, env=here, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system in memory, since what differs from an overlay cannot be on an overlay."""
    if os.getuid() != 0:
        pytest.skip("needs root")
    for program in PROGRAMS.split():
        need(program)
    need_free(110, 995)
    folder = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--recursive", folder], check=True)


@pytest.fixture(scope="session")
def clone(disk: Path) -> Path:
    """A layer with a clone of the repository, a certificate, and a stand-in for systemd."""
    layer = disk / "clone"
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, files):
        target = layer / "root/restante" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    (layer / "root").chmod(0o700)
    authority = trustme.CA()
    live = layer / "etc/letsencrypt/live/mail.example.com"
    live.mkdir(parents=True)
    issued = authority.issue_cert(*HOSTS, "localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(live / "privkey.pem")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(live / "fullchain.pem", append=number > 0)
    authority.cert_pem.write_to_path(layer / "etc/restante-authority.pem")
    hosts = Path("/etc/hosts").read_text() + f"192.0.2.25 {' '.join(HOSTS)}\n"
    (layer / "etc/hosts").write_text(hosts)
    (layer / "usr/local/sbin").mkdir(parents=True)
    for program in ("systemctl", "journalctl"):
        shutil.copy(SETUPS / program, layer / "usr/local/sbin")
    return layer


def line_of(text: str) -> int:
    return INSTALL.read_text().splitlines().index(text) + 1


@pytest.fixture(scope="session")
def installed(disk: Path, clone: Path) -> list[Path]:
    """The layers of a machine on which the first half of install.md has been done.

    In the clone `make install` has been done, too, so that blocks which do it again need no network
    and cost no time.
    """
    layers = [disk / "installed", clone]
    layers[0].mkdir()
    run_page(layers, INSTALL, str(SETUPS / "clone.sh"), 1, line_of("## The configuration"))
    return layers


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_every_block_runs(page: Path, disk: Path, installed: list[Path]) -> None:
    """In the order of the page, each in a shell of its own, in the folder of the clone."""
    layers = [disk / page.stem, *installed]
    layers[0].mkdir()
    setup = SETUPS / f"{page.stem}.sh"
    first = line_of("## The configuration") if page == INSTALL else 1
    run_page(layers, page, f"{SETUPS}/common.sh:{setup}" if setup.exists() else "", first, 10_000)


def test_a_set_up_belongs_to_a_page() -> None:
    """Each set-up script belongs to a page."""
    shared = {"common", "clone"}
    assert {file.stem for file in SETUPS.glob("*.sh")} - shared <= {page.stem for page in RUN}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_can_hide_a_failure(page: Path) -> None:
    """`bash -e` overlooks what fails before `||`, or before `&&` when more commands follow."""
    for block in (block for block in blocks(page) if block.mark != "not run"):
        joined = re.sub(r"(\\|&&)\n\s*", r"\1 ", block.commands)
        assert not re.search(r"\|\||set \+|; *true\b|; *:", joined), block
        assert "&&" not in joined or "\n" not in joined, block


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```\nls\n```\n", "no language"),
        ("```zsh\nls\n```\n", "zsh"),
        ("<!-- skipped: no reason -->\n\n    ls\n", "unknown mark"),
        ("<!-- not run: a reason -->\n\nNo block.\n", "without a block"),
    ],
)
def test_no_block_escapes(tmp_path: Path, text: str, error: str) -> None:
    """A block that is neither run nor excused is an error."""
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(ValueError, match=error):
        blocks(tmp_path / "page.md")


def test_shell_blocks_are_found(tmp_path: Path) -> None:
    """Shell blocks are found with their lines and marks."""
    (tmp_path / "page.md").write_text(
        "A\n\n    a\n    b\n\n```console\n$ c\nd\n```\n\n```toml\ne = 1\n```\n\n"
        "1. B\n\n   ```python\n   def b():\n       pass\n   ```\n\n"
        "<!-- not run: a reason -->\n\n```sh\nf\n\ng\n```\n"
    )
    assert blocks(tmp_path / "page.md") == [
        Block(3, "a\nb"),
        Block(6, "c"),
        Block(24, "f\n\ng", "not run", "a reason"),
    ]
