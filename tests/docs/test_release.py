"""The files that `make dist` packs."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from restante import __version__
from restante.server.config.loader import load
from support.programs import need

ROOT = Path(__file__).parents[2]


def test_source_distribution_is_whole() -> None:
    """MANIFEST.in names every file and folder of the repository but .gitignore."""
    git = need("git")
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone")
    done = subprocess.run(
        [git, "ls-tree", "--name-only", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    words = (ROOT / "MANIFEST.in").read_text().split()
    left_out = [name for name in done.stdout.split() if not any(map(Path(name).match, words))]
    assert set(left_out) <= {".gitignore", "pyproject.toml"}  # setuptools adds the second itself


def test_server_extra_is_whole() -> None:
    """`restante[server]` has every extra but LDAP, without a wheel, and those of no server."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    (whole,) = extras["server"]
    inner = set(re.findall(r"[\w-]+", whole)) - {"restante"}
    assert set(extras) - inner == {
        "server", "ldap", "keyring", "web", "test", "fuzz", "check", "docs"
    }  # fmt: skip


def test_debian_version() -> None:
    """The Debian package has the version of the program."""
    first = (ROOT / "debian/changelog").read_text().splitlines()[0]
    assert first.startswith(f"restante ({__version__}-")


def test_debian_pages_find_each_other() -> None:
    """Each link between pages leads to a page of the Debian package; two files have other names."""
    folders = [
        Path(line.split()[0])
        for line in (ROOT / "debian/restante.install").read_text().splitlines()
    ]
    listed = [Path(name) for name in (ROOT / "debian/restante.docs").read_text().split()]
    renamed = [ROOT / "CHANGELOG.md", ROOT / "LICENSE"]
    there = [ROOT / place for place in (*folders, *listed)] + renamed
    pages = [page for place in there[:-2] for page in [place, *place.rglob("*.md")]]
    lost = [
        (page.name, link)
        for page in pages
        if page.suffix == ".md"
        for link in re.findall(r"\]\(([^)#\s:]+)[)#]", page.read_text())
        if not any((page.parent / link).resolve().is_relative_to(place) for place in there)
    ]
    assert lost == []


def debian_unit(name: str) -> list[str]:
    """Return the lines of a unit of contrib as the package has it."""
    done = subprocess.run(
        ["sed", "-f", ROOT / "debian/unit.sed", ROOT / "contrib/systemd" / name],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_debian_unit() -> None:
    """The unit of the package starts its program as its user, whose mail folder systemd makes."""
    lines = debian_unit("restante.service")
    assert "ExecStart=/usr/bin/pop3 serve --config /etc/restante/restante.toml" in lines
    assert [line for line in lines if "vmail" in line or "/opt/" in line] == []
    (user,) = [line.removeprefix("User=") for line in lines if line.startswith("User=")]
    assert (ROOT / "debian/restante.sysusers").read_text().startswith(f"u {user} ")
    folder = load(ROOT / "debian/restante.toml", {}).mail.folder
    assert f"RequiresMountsFor={folder}" in lines
    assert "StateDirectory=restante restante/mail" in lines


def test_debian_check_before_restart() -> None:
    """The package's check runs the package's program, and the file that the wheel brings."""
    text = "\n".join(debian_unit("restante-config-check.service"))
    assert "/opt/" not in text
    assert "/usr/share/restante/systemd/check-before-restart" in text
    assert "/usr/bin/pop3 config check /etc/restante/restante.toml" in text
    assert (ROOT / "contrib/systemd/check-before-restart").stat().st_mode & 0o111


def test_debian_configuration_is_safe() -> None:
    """Until an administrator changes it, the package's server listens for this machine only.

    Its control sockets are in the folder that systemd makes, and for root and the server's user.
    """
    config = load(ROOT / "debian/restante.toml", {})
    assert all(address.startswith(("127.", "[::1]")) for address in config.server.listen)
    assert (config.tls.listen, config.delivery) == ((), type(config.delivery)())
    assert (config.control.folder, config.control.group) == (Path("/run/restante/control"), None)
    assert "RuntimeDirectory=restante" in debian_unit("restante.service")


def test_debian_socket() -> None:
    """The package's socket has the addresses of the package's configuration."""
    lines = debian_unit("restante.socket")
    addresses = [line.partition("=")[2] for line in lines if line.startswith("ListenStream=")]
    assert tuple(addresses) == load(ROOT / "debian/restante.toml", {}).server.listen


def test_container_configuration(tmp_path: Path) -> None:
    """The container serves the ports that it exposes, from the folders that it declares."""
    lines = (ROOT / "Containerfile").read_text().splitlines()
    words = {line.split()[0]: line.split()[1:] for line in lines if re.match(r"[A-Z]+ ", line)}
    config = load(ROOT / "contrib/container/restante.toml", {})
    assert config.server.listen == (f"*:{words['EXPOSE'][0]}",)
    assert config.accounts.users is not None
    folders = json.loads(" ".join(words["VOLUME"]))
    assert folders == [str(config.accounts.users.parent), str(config.mail.folder)]
    assert words["USER"] == ["nobody:nogroup"]
    assert json.loads(" ".join(words["CMD"]))[0] == "serve"


def test_container_has_only_what_it_needs() -> None:
    """The context of a build has what the Containerfile copies, and nothing else."""
    copied = re.findall(r"^COPY (\S+) ", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    allowed = (ROOT / ".containerignore").read_text().splitlines()
    assert allowed[0] == "*"
    assert all(
        any(file.startswith(line[1:].split("*")[0]) for line in allowed[1:]) for file in copied
    )
