"""Where tokens are kept: files, the keyring, encryption, and the modes."""

from __future__ import annotations

import os
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from restante.oauth import keyring_entries
from restante.oauth.errors import TokenStoreError
from restante.oauth.private_files import LockTimeoutError
from restante.oauth.sign_in import SignIn
from restante.oauth.token_endpoint import TokenEndpoint, TokenSet
from restante.oauth.token_names import default_folder, name_of
from restante.oauth.token_store import StoredSignIn, TokenStore
from restante.protocol.secret import Secret
from support.small_disks import fill, small_disk

NAME = "ann@example.com"
HOST = "pop.example.com"
ACCESS, REFRESH = b"access-9c1f", b"refresh-77aa"


def sign_in(access: bytes = ACCESS, refresh: bytes = REFRESH) -> SignIn:
    endpoint = TokenEndpoint("https://issuer.example.com/token", "client-1")
    tokens = TokenSet(Secret(access), Secret(refresh), 5000.0, "mail")
    return SignIn("", "https://issuer.example.com", endpoint, tokens, "device")


class FakeKeyring(types.ModuleType):
    """The module `keyring` with one backend, which may hang or fail."""

    def __init__(self, priority: float = 5) -> None:
        super().__init__("keyring")
        self.priority = priority
        self.entries: dict[tuple[str, str], str] = {}
        self.trouble: Callable[[], None] = lambda: None

    def get_keyring(self) -> Any:
        return self

    def get_password(self, service: str, name: str) -> str | None:
        self.trouble()
        return self.entries.get((service, name))

    def set_password(self, service: str, name: str, secret: str) -> None:
        self.trouble()
        self.entries[service, name] = secret

    def delete_password(self, service: str, name: str) -> None:
        self.trouble()
        del self.entries[service, name]


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> FakeKeyring:
    made = FakeKeyring()
    monkeypatch.setitem(sys.modules, "keyring", made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "restante" / "tokens"


@pytest.fixture
def store(folder: Path) -> TokenStore:
    return TokenStore(folder, keyring=False)


def save(store: TokenStore, **changes: Any) -> str:
    return store.save(NAME, replace(sign_in(), **changes), HOST, 1000.0)


def test_kept(store: TokenStore) -> None:
    """A sign-in is read as it was saved, and forgotten."""
    save(store)
    assert store.load(NAME) == StoredSignIn(sign_in(), HOST, 1000.0)
    assert store.names() == [NAME]
    store.forget(NAME)
    assert store.load(NAME) is None
    assert store.names() == []


def test_modes(store: TokenStore, folder: Path) -> None:
    """The folder has the mode 0700 and the file 0600, whatever the umask allows."""
    mask = os.umask(0)
    try:
        save(store)
    finally:
        os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / f"{NAME}.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_open_file(store: TokenStore, folder: Path, mode: int) -> None:
    """A file that other users can open is not used, and the error says how to repair it."""
    save(store)
    (folder / f"{NAME}.json").chmod(mode)
    with pytest.raises(TokenStoreError, match="chmod 600") as found:
        store.load(NAME)
    assert REFRESH.decode() not in str(found.value)


def test_file_of_another_user(
    store: TokenStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of another user is not used, as with sudo; the error says whose it is."""
    save(store)
    monkeypatch.setattr("restante.oauth.private_files.os.geteuid", lambda: os.getuid() + 1)
    advice = rf"id {os.getuid()}\).*run pop3 as that user, or remove it and run pop3 login"
    with pytest.raises(TokenStoreError, match=advice):
        store.load(NAME)
    assert (folder / f"{NAME}.json").exists()


def test_open_folder(store: TokenStore, folder: Path) -> None:
    """A folder that other users can open is not used."""
    save(store)
    folder.chmod(0o750)
    with pytest.raises(TokenStoreError, match="chmod 700"):
        store.load(NAME)


def test_link(store: TokenStore, folder: Path, tmp_path: Path) -> None:
    """A symbolic link in place of the file is not followed."""
    save(store)
    (folder / f"{NAME}.json").rename(tmp_path / "elsewhere")
    (folder / f"{NAME}.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TokenStoreError):
        store.load(NAME)


def test_durable(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file is synced before it is renamed, and then the folder."""
    calls: list[str] = []

    def record(name: str) -> None:
        true = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return true(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    record("fsync")
    record("rename")
    save(store)
    assert calls[-3:] == ["fsync", "rename", "fsync"]


def test_full_disk(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that fails leaves the tokens of before."""
    save(store)

    def fail(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(TokenStoreError, match="No space left"):
        store.save(NAME, sign_in(b"new", b"newer"), HOST, 2000.0)
    assert store.load(NAME) == StoredSignIn(sign_in(), HOST, 1000.0)


def test_rehearsal(store: TokenStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal keeps what is there, leaves nothing, and finds a full disk."""
    save(store)
    with store.edit(NAME) as entry:
        entry.check_save()
        assert [file.name for file in folder.glob("*.json*")] == [f"{NAME}.json"]

        def fail(_: int) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(TokenStoreError, match="No space left"):
            entry.check_save()
    assert [file.name for file in folder.glob("*.json*")] == [f"{NAME}.json"]
    assert store.load(NAME) == StoredSignIn(sign_in(), HOST, 1000.0)


def test_unreadable_folder(tmp_path: Path) -> None:
    """A folder that cannot be read is not one without tokens."""
    store = TokenStore(tmp_path / ("x" * 300), keyring=False)
    with pytest.raises(TokenStoreError, match="File name too long"):
        store.load(NAME)


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home learns what to set, and needs none where that is set."""

    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    with pytest.raises(TokenStoreError, match="set HOME, or XDG_STATE_HOME"):
        TokenStore()
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert TokenStore().folder == Path("/state/restante/tokens")


def test_leftover(store: TokenStore, folder: Path) -> None:
    """The half of a file that a crash left does not stop a save."""
    save(store)
    left = folder / f"{NAME}.json.new"
    left.write_bytes(b"{")
    save(store)
    assert not left.exists()
    assert store.load(NAME)


@pytest.mark.parametrize(
    "octets",
    [b"", b"{", b"[]", b'{"version":1,"name":"a","place":"file"}', b'{"name":"\xff"}',
     b'{"name":' + b"[" * 5000,
     b'{"version":1,"name":"a","place":"file","stored":' + b"[" * 5000 + b"]" * 5000 + b"}"],
)  # fmt: skip
def test_damaged(store: TokenStore, folder: Path, octets: bytes) -> None:
    """A damaged file is an error with a remedy, and can be forgotten."""
    save(store)
    (folder / f"{NAME}.json").write_bytes(octets)
    with pytest.raises(TokenStoreError, match="pop3 login"):
        store.load(NAME)
    store.forget(NAME)
    assert not store.has(NAME)


def test_lock(store: TokenStore) -> None:
    """A second holder of the lock waits no longer than it says."""
    with store.edit(NAME), pytest.raises(LockTimeoutError), store.edit(NAME, 0.05):
        pass
    with store.edit(NAME, 0):
        pass


def test_names(store: TokenStore) -> None:
    """Names with slashes, dots and letters beyond ASCII stay in the folder."""
    names = ["../etc/passwd", "..", "a b", "jürgen@example.com", "shop"]
    for name in names:
        store.save(name, sign_in(), HOST, 1000.0)
    assert store.names() == sorted(names)
    assert all(store.load(name) for name in names)
    with pytest.raises(TokenStoreError):
        store.save("x" * 300, sign_in(), HOST, 1000.0)


def test_command_secret(store: TokenStore, folder: Path) -> None:
    """A client's secret that a command prints is not stored."""
    endpoint = TokenEndpoint("https://issuer.example.com/token", "client-1", Secret(b"hush-4411"))
    save(store, endpoint=endpoint, client_secret_command="pass client")
    assert "hush-4411" not in (folder / f"{NAME}.json").read_text()
    save(store, endpoint=endpoint)
    stored = store.load(NAME)
    assert stored
    assert stored.sign_in.endpoint.client_secret == Secret(b"hush-4411")


def test_keyring(keyring: FakeKeyring, folder: Path) -> None:
    """With a keyring that works the file has no token in it."""
    store = TokenStore(folder)
    assert save(store) == "the keyring"
    assert REFRESH.decode() not in (folder / f"{NAME}.json").read_text()
    assert store.load(NAME) == StoredSignIn(sign_in(), HOST, 1000.0)
    store.forget(NAME)
    assert not keyring.entries
    assert not store.has(NAME)


@pytest.mark.parametrize("priority", [0, 0.5, -1])
def test_bad_keyring(keyring: FakeKeyring, folder: Path, priority: float) -> None:
    """A keyring that keeps nothing, or plain text, is not used."""
    keyring.priority = priority
    assert save(TokenStore(folder)).endswith(".json")
    assert not keyring.entries


def test_hanging_keyring(
    keyring: FakeKeyring, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keyring that hangs is left alone: the tokens go into the file."""
    monkeypatch.setattr(keyring_entries, "SECONDS", 0.05)
    done = threading.Event()
    keyring.trouble = lambda: (done.wait(), None)[1]
    try:
        assert save(TokenStore(folder)).endswith(".json")
    finally:
        done.set()


def test_forget_an_old_copy(keyring: FakeKeyring, folder: Path) -> None:
    """A copy that a failed keyring had is removed with the tokens in the file."""
    store = save_past_a_failure(keyring, folder)
    assert keyring.entries
    assert store.forget(NAME) == ""
    assert (keyring.entries, store.names()) == ({}, [])


@pytest.mark.parametrize("damaged", [False, True])
def test_forget_without_the_keyring(keyring: FakeKeyring, folder: Path, damaged: bool) -> None:
    """What the keyring may have is said, and the file is removed all the same."""
    store = save_past_a_failure(keyring, folder)
    if damaged:
        (folder / f"{NAME}.json").write_text("{")
    keyring.trouble = fail
    left = store.forget(NAME)
    assert f"(RuntimeError); once it answers, remove the entry {NAME} of the service rest" in left
    assert store.names() == []


def test_forget_a_damaged_file(keyring: FakeKeyring, folder: Path) -> None:
    """The copy in the keyring is removed, although the file does not name it any more."""
    store = TokenStore(folder)
    save(store)
    (folder / f"{NAME}.json").write_text("{")
    assert (store.forget(NAME), keyring.entries) == ("", {})


def test_forget_without_a_keyring(keyring: FakeKeyring, folder: Path) -> None:
    """Tokens that never were in a keyring are forgotten without it."""
    store = TokenStore(folder, keyring=False)
    save(store)
    keyring.trouble = fail
    assert store.forget(NAME) == ""


def save_past_a_failure(keyring: FakeKeyring, folder: Path) -> TokenStore:
    """Save tokens, and then others while the keyring fails."""
    store = TokenStore(folder)
    save(store)
    keyring.trouble = fail
    save(store)
    keyring.trouble = lambda: None
    return store


def fail() -> None:
    raise RuntimeError("locked: refresh-77aa")


def test_failing_keyring(keyring: FakeKeyring, folder: Path) -> None:
    """A keyring that fails says what to do. A new token is not lost: the file has it then."""
    store = TokenStore(folder)
    save(store)
    keyring.trouble = fail
    with pytest.raises(TokenStoreError, match=r"RuntimeError.*unlock it.*key_command") as found:
        store.load(NAME)
    assert REFRESH.decode() not in str(found.value)
    assert store.save(NAME, sign_in(b"second", b"third"), HOST, 2000.0).endswith(".json")
    assert store.load(NAME) == StoredSignIn(sign_in(b"second", b"third"), HOST, 2000.0)


def test_encrypted(folder: Path) -> None:
    """With a key command the file shows no token, and only this key decrypts it."""
    save(TokenStore(folder, key_command="echo correct horse"))
    file = (folder / f"{NAME}.json").read_text()
    assert REFRESH.decode() not in file
    assert HOST not in file
    assert TokenStore(folder, key_command="echo correct horse").load(NAME)
    with pytest.raises(TokenStoreError, match="does not decrypt"):
        TokenStore(folder, key_command="echo wrong").load(NAME)
    with pytest.raises(TokenStoreError, match="key_command"):
        TokenStore(folder).load(NAME)


def test_swapped(folder: Path) -> None:
    """The encrypted tokens of one account are not those of another."""
    store = TokenStore(folder, key_command="echo correct horse")
    save(store)
    (folder / f"{NAME}.json").rename(folder / "eve@example.com.json")
    with pytest.raises(TokenStoreError, match="does not decrypt"):
        store.load("eve@example.com")


@pytest.mark.parametrize("command", ["false", "true", "no-such-command-here", "'", ""])
def test_key_command(folder: Path, command: str) -> None:
    """A key command that fails, or prints nothing, keeps nothing in the clear."""
    store = TokenStore(folder, key_command=command or " ")
    with pytest.raises(TokenStoreError, match="key_command"):
        save(store)
    assert not store.has(NAME)


def test_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The folder is that of XDG_STATE_HOME, if that is absolute."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for state, expected in [("/var/x", "/var/x"), ("rel", f"{tmp_path}/.local/state")]:
        monkeypatch.setenv("XDG_STATE_HOME", state)
        assert str(default_folder()) == f"{expected}/restante/tokens"


@pytest.mark.parametrize(
    ("account", "name"),
    [
        ("shop", "shop"),
        ("Ann@Example.COM", "Ann@example.com"),
        ("pop3s://ann@example.com@pop.example.net", "ann@example.com"),
        ("pop3s://ann@pop.example.net:996", "ann@pop.example.net"),
    ],
)
def test_name_of(account: str, name: str) -> None:
    """An account has the same name however it is written."""
    assert name_of(account) == name


def test_no_secret_shown(store: TokenStore) -> None:
    """Neither the repr nor the text of what is kept has a token."""
    save(store)
    shown = repr(store.load(NAME))
    assert ACCESS.decode() not in shown
    assert REFRESH.decode() not in shown


def test_a_full_disk(tmp_path: Path) -> None:
    """A write that fails leaves the old file and no other."""
    with small_disk(tmp_path / "disk") as disk:
        store = TokenStore(disk / "tokens", keyring=False)
        save(store)
        fill(disk)
        with pytest.raises(TokenStoreError, match="No space left"):
            save(store, scope="x" * 100_000)
        assert store.load(NAME) == StoredSignIn(sign_in(), HOST, 1000.0)
        assert sorted(os.listdir(store.folder)) == [f"{NAME}.json", f"{NAME}.lock"]
