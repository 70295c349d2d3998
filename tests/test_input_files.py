"""Files that people name are read if they are regular files of a sensible size, in UTF-8."""

from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from restante import input_files
from restante.cli.options import password
from restante.cli.options.password import read_password_file
from restante.fetch.imports.files import read_file
from restante.fetch.imports.programs import PROGRAMS
from restante.fetch.imports.state import StateFileError
from restante.testing.received import encode_message
from support.command import pop3


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A pipe without a writer."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_only_regular_files(pipe: Path) -> None:
    """A pipe, a device and a folder are rejected before they are opened."""
    for path, problem in (
        (pipe, "it is a pipe; name a regular file"),
        (Path("/dev/zero"), "it is a device; name a regular file"),
        (pipe.parent, "Is a directory"),
    ):
        with pytest.raises(OSError, match=problem):
            input_files.read_octets(path)


def test_memory(tmp_path: Path) -> None:
    """A small file needs little memory, however large it may be."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    tracemalloc.start()
    try:
        assert input_files.read_octets(file, input_files.LARGEST_ACCOUNTS) == b"12345"
        assert tracemalloc.get_traced_memory()[1] < 4 * input_files.PART
    finally:
        tracemalloc.stop()


def test_size(tmp_path: Path) -> None:
    """A file of the largest size is read, and one octet more is an error."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert input_files.read_octets(file, 5) == b"12345"
    with pytest.raises(OSError, match="it is larger than 4 octets"):
        input_files.read_octets(file, 4)


def test_text(tmp_path: Path) -> None:
    """A byte order mark is left out, and every line ends with LF."""
    file = tmp_path / "file"
    file.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert input_files.read_text(file) == "a\nb\nc\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16(tmp_path: Path, encoding: str) -> None:
    """UTF-16 is named, with and without a byte order mark."""
    file = tmp_path / "file"
    file.write_text("[mail]\n", encoding)
    with pytest.raises(OSError, match="it is UTF-16; save it as UTF-8"):
        input_files.read_text(file, errors="surrogateescape")


def test_another_encoding(tmp_path: Path) -> None:
    """The first line that is not UTF-8 is named."""
    file = tmp_path / "file"
    file.write_bytes(b"a\nb\n\xfc\n")
    with pytest.raises(OSError, match="line 3 is not UTF-8"):
        input_files.read_text(file)


SERVER = '[mail]\nfolder = "mail"\n'
PLACES = {
    "accounts.users": SERVER + '[accounts]\nusers = "{pipe}"\n',
    "accounts.masters": SERVER + '[accounts]\nusers = "users"\nmasters = "{pipe}"\n',
    "accounts.locks": SERVER + '[accounts]\nusers = "users"\nlocks = "{pipe}"\n',
    "accounts.app_passwords": SERVER + '[accounts]\nusers = "users"\napp_passwords = "{pipe}"\n',
    "accounts.postgresql_dsn_file": SERVER
    + '[accounts]\npostgresql_dsn_file = "{pipe}"\npostgresql_query = "SELECT $1"\n',
    "tls.certificates": SERVER
    + '[accounts]\nusers = "users"\n'
    + '[tls]\ncertificates = [{{ certificate = "{pipe}", key = "{pipe}" }}]\n',
    "tokens.jwks": SERVER
    + '[accounts]\nusers = "users"\n[tokens]\njwks = "{pipe}"\naudience = "a"\nissuer = "https://i"\n',
}


@pytest.mark.parametrize("key", PLACES)
def test_pipe_in_the_configuration(pipe: Path, key: str) -> None:
    """`pop3 config check` reports a pipe at each place of a file, and does not wait for it."""
    (pipe.parent / "mail").mkdir()
    (pipe.parent / "users").write_text("ann:{PLAIN}secret\n")
    (pipe.parent / "users").chmod(0o600)
    config = pipe.parent / "restante.toml"
    config.write_text(PLACES[key].format(pipe=pipe))
    ended = pop3("config", "check", config)
    assert ended.code == 2
    assert f"{key}: " in ended.err
    assert f"{pipe}: it is a pipe; name a regular file" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("config", "check", "{pipe}"),
        ("config", "show", "{pipe}"),
        ("serve", "--config", "{pipe}"),
        ("sessions", "--config", "{pipe}"),
        ("user", "list", "--users", "{pipe}"),
        ("ls", "pop3://ann@127.0.0.1:1", "--cacert", "{pipe}"),
        ("misbehave", "serve", "--rules", "{pipe}"),
    ],
    ids=" ".join,
)
def test_pipe_in_a_command(pipe: Path, words: tuple[str, ...]) -> None:
    """A command that reads a file reports a pipe, and does not wait for it."""
    ended = pop3(*(word.format(pipe=pipe) for word in words))
    assert ended.code != 0
    assert f"{pipe}: it is a pipe; name a regular file" in ended.err


def test_pipe_as_the_file_of_accounts(pipe: Path) -> None:
    """A pipe instead of accounts.toml or providers.toml is reported."""
    home = pipe.parent / "home/restante"
    home.mkdir(parents=True)
    (home / "accounts.toml").symlink_to(pipe)
    ended = pop3("ls", "work", XDG_CONFIG_HOME=str(home.parent))
    assert ended.code == 2
    assert "accounts.toml: it is a pipe; name a regular file" in ended.err


def test_pipe_as_the_file_of_another_program(pipe: Path) -> None:
    """`pop3 fetch import` reports a pipe as the file of a program."""
    with pytest.raises(StateFileError, match="it is a pipe; name a regular file"):
        read_file(PROGRAMS["getmail"], pipe)


def test_pipe_as_a_message(pipe: Path) -> None:
    """A test that delivers a pipe gets an error, and does not wait for it."""
    with pytest.raises(OSError, match="it is a pipe; name a regular file"):
        encode_message(pipe)


@pytest.mark.parametrize(
    "words",
    [
        ("ls", "pop3://ann@127.0.0.1:1", "--password-file"),
        ("dev", "--password"),
        ("dev", "--web-password"),
    ],
    ids=" ".join,
)
def test_endless_password_file(words: tuple[str, ...]) -> None:
    """A device as the file of a password is an error before it fills the memory."""
    ended = pop3(*words, "/dev/zero", password=None)
    assert ended.code == 2
    assert "the password is longer than 65536 octets" in ended.err


def test_pipe_as_a_password_file(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is read if a program writes to it, now or soon, and is empty without one."""
    late = threading.Timer(0.05, pipe.write_text, ["secret\n"])
    late.start()
    assert read_password_file(pipe) == "secret"
    late.join()
    monkeypatch.setattr(password, "PIPE_PATIENCE", 0)
    assert read_password_file(pipe) == ""


def test_marked_accounts(tmp_path: Path) -> None:
    """An accounts file that a program has saved with a byte order mark loses no account."""
    users = tmp_path / "users"
    users.write_bytes(b"\xef\xbb\xbfann:{PLAIN}secret\n")
    users.chmod(0o600)
    assert pop3("user", "list", "--users", users, "--names").out == "ann\n"
