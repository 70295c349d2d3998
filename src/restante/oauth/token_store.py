"""The store of the tokens of accounts: the system's keyring, or files.

Each account has a file `NAME.json` of mode 0600 in `$XDG_STATE_HOME/restante/tokens`, and a lock.
With a keyring that works the file says only that the tokens are there. With a `key_command` the
tokens in the file are encrypted. A new refresh token is durable when `save` returns.
"""

from __future__ import annotations

import base64
import contextlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import msgspec

from restante.oauth import keyring_entries, private_files, sealing
from restante.oauth.errors import TokenStoreError
from restante.oauth.keyring_entries import KeyringError
from restante.oauth.secret_command import run_secret_command
from restante.oauth.sign_in import SignIn  # noqa: TC001  # msgspec reads the annotation
from restante.oauth.token_names import default_folder, file_name, has_tokens
from restante.protocol.secret import Secret
from restante.system_errors import explain_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from restante.oauth.token_endpoint import TokenSet

LOCK_SECONDS = 20.0  # for the lock of an account: longer than a refresh lasts
VERSION = 1

Place = Literal["file", "encrypted", "keyring"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last refusal of the issuer, for the report.

    Attributes:
        id: the verdict.
        text: the issuer's own words.
        error: the error code of RFC 6749.
        correlation: what the issuer's administrator finds the request by.
        at: when it came, by time.time().
        wait: the seconds from then on for which a busy issuer asked not to be asked again.
    """

    id: str
    text: str
    error: str
    correlation: str
    at: float
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class StoredSignIn:
    """The record that is kept for an account.

    Attributes:
        sign_in: what the user signed in to, with the present tokens.
        host: the mail server that the tokens are for. They are sent to no other.
        obtained_at: when the issuer gave the access token, by time.time().
        previous_refresh: the refresh token before the present one, which has not worked yet.
        ended: the issuer has ended the sign-in; `trouble` says why.
        trouble: the issuer's last refusal, None after a success.
        refusals: when tokens were refused lately, by the issuer or by the server.
    """

    sign_in: SignIn
    host: str
    obtained_at: float
    previous_refresh: Secret | None = None
    ended: bool = False
    trouble: Trouble | None = None
    refusals: tuple[float, ...] = ()


class _File(msgspec.Struct):
    """The file of an account: with the tokens, with encrypted ones, or with neither.

    Attributes:
        old_copy: the keyring may have an old copy, which could not be removed.
    """

    version: int
    name: str
    place: Place
    stored: msgspec.Raw = msgspec.Raw(b"null")
    sealed: str = ""
    old_copy: bool = False

    @property
    def uses_keyring(self) -> bool:
        """Whether the keyring may have a copy."""
        return self.place == "keyring" or self.old_copy


class TokenStore:
    """The tokens of all accounts of a user.

    Args:
        folder: the folder of the files, None for the usual one.
        key_command: prints the passphrase that encrypts the tokens of this account, "" for none.
        keyring: False keeps all tokens in files.

    All methods raise TokenStoreError: a file or the keyring cannot be used, or others can read it.
    """

    def __init__(
        self, folder: Path | None = None, *, key_command: str = "", keyring: bool = True
    ) -> None:
        self.folder: Path = folder or default_folder()
        self._key_command = key_command
        self._keyring = keyring and not key_command

    def has(self, name: str) -> bool:
        """Return whether there are tokens for a name. Neither file nor keyring is read."""
        with private_files.errors(self.folder):
            return has_tokens(self.folder, name)

    def names(self) -> list[str]:
        """Return the names that there are tokens for, sorted. Raises TokenStoreError."""
        try:
            files = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TokenStoreError(explain_path(self.folder, error)) from None
        return sorted(unquote(n.removesuffix(".json")) for n in files if n.endswith(".json"))

    def load(self, name: str) -> StoredSignIn | None:
        """Return the record of a name, None without one."""
        if not self.has(name):
            return None
        with private_files.open_folder(self.folder) as folder:
            return StoreEntry(self, folder, name).load()

    def save(self, name: str, sign_in: SignIn, host: str, at: float) -> str:
        """Store a new sign-in for a name, instead of any other. Return the place, for people.

        `host` is the mail server that the tokens are for, and `at` the time by time.time().
        """
        with self.edit(name) as entry:
            return entry.save(StoredSignIn(sign_in, host, at))

    def forget(self, name: str) -> str:
        """Remove the record of a name. Return in words what may be left, "" for nothing."""
        with self.edit(name) as entry:
            return entry.forget()

    @contextlib.contextmanager
    def edit(self, name: str, seconds: float = LOCK_SECONDS) -> Iterator[StoreEntry]:
        """Give the record of a name, to be changed. No other process changes it meanwhile.

        Raises LockTimeoutError: another process has held the lock for `seconds`.
        """
        with private_files.open_folder(self.folder) as folder:
            lock = self.folder / f"{file_name(name).removesuffix('.json')}.lock"
            with private_files.hold_lock(folder, lock, seconds):
                yield StoreEntry(self, folder, name)

    def passphrase(self) -> bytes:
        """Return the passphrase for encrypted tokens."""
        if not self._key_command:
            text = "the tokens are encrypted; set key_command in the account's oauth table"
            raise TokenStoreError(text)
        return run_secret_command(self._key_command, "key_command")

    def place_for(self, present: Place | None) -> Place:
        """Return the place for the next tokens; `present` is the place of those that there are."""
        if self._key_command:
            return "encrypted"
        if present == "file" or not self._keyring:
            return "file"
        return "keyring" if present == "keyring" or keyring_entries.is_usable() else "file"


class StoreEntry:
    """The record of one name, in an open folder."""

    def __init__(self, store: TokenStore, folder: int, name: str) -> None:
        self._store, self._folder, self._name = store, folder, name
        self._path = store.folder / file_name(name)

    def check_save(self) -> None:
        """Raise TokenStoreError if `save` would fail, before a user signs in for nothing."""
        present = self._read()
        if self._store.place_for(present.place if present else None) == "encrypted":
            self._store.passphrase()
        private_files.reserve(self._folder, self._path)

    def load(self) -> StoredSignIn | None:
        """Return the record, None without one."""
        file = self._read()
        if file is None:
            return None
        try:
            return _decode(self._content(file))
        except (ValueError, msgspec.ValidationError, RecursionError):
            raise self._damage_error() from None

    def save(self, stored: StoredSignIn) -> str:
        """Replace the record, durably, and return its place, for people."""
        present = self._read()
        present_place = present.place if present else None
        octets = _encode(stored)
        file = _File(VERSION, self._name, self._store.place_for(present_place))
        file.old_copy = present is not None and present.uses_keyring
        if file.place == "keyring":
            try:
                keyring_entries.store_secret(self._name, octets.decode())
            except KeyringError:  # the tokens must not be lost
                file.place, file.old_copy = "file", True  # a slow keyring may have it yet
            else:
                if present_place != "keyring":
                    self._write(file)
                return "the keyring"
        self._fill(file, octets)
        self._write(file)
        if present_place == "keyring":
            self._remove_old_copy(file)
        return str(self._path)

    def forget(self) -> str:
        """Remove all copies that can be reached. Return what may be left, "" for nothing."""
        remains = ""
        try:
            present = self._read()
            in_keyring = present is not None and present.uses_keyring
        except TokenStoreError:  # damaged, or open to others: it does not say
            in_keyring = True
        if in_keyring:
            try:
                keyring_entries.remove_secret(self._name)
            except KeyringError as error:
                remains = (
                    f"a copy may be in the keyring, and {error.cause}; once it answers, remove the "
                    f"entry {self._name} of the service {keyring_entries.SERVICE} there"
                )
        private_files.remove(self._folder, self._path)
        return remains

    def _fill(self, file: _File, octets: bytes) -> None:
        """Put the octets that are kept into a file, encrypted where its place says so."""
        if file.place == "encrypted":
            sealed = sealing.seal(octets, self._store.passphrase(), self._name)
            file.sealed = base64.b64encode(sealed).decode()
        else:
            file.stored = msgspec.Raw(octets)

    def _write(self, file: _File) -> None:
        private_files.write(self._folder, self._path, msgspec.json.encode(file) + b"\n")

    def _read(self) -> _File | None:
        octets = private_files.read(self._folder, self._path)
        if octets is None:
            return None
        try:
            file = msgspec.json.decode(octets, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._damage_error() from None
        if file.version != VERSION:
            text = f"{self._path}: version {file.version}, and this pop3 reads version {VERSION}"
            raise TokenStoreError(text)
        return file

    def _content(self, file: _File) -> bytes:
        """Return the octets of what is kept. Raises ValueError: they were changed."""
        if file.place == "file":
            return bytes(file.stored)
        if file.place == "keyring":
            secret = keyring_entries.find_secret(self._name)
            if secret is None:
                text = f"the keyring has no tokens for {self._name}; run pop3 login {self._name}"
                raise TokenStoreError(text)
            return secret.encode()
        sealed = base64.b64decode(file.sealed)
        try:
            return sealing.unseal(sealed, self._store.passphrase(), self._name)
        except ValueError:
            text = f"{self._path}: the key of key_command does not decrypt it"
            raise TokenStoreError(text) from None

    def _damage_error(self) -> TokenStoreError:
        text = f"{self._path}: it is damaged; run pop3 logout, then pop3 login {self._name}"
        return TokenStoreError(text)

    def _remove_old_copy(self, file: _File) -> None:
        """Remove an old copy from the keyring, if it answers: the file has the present one."""
        with contextlib.suppress(TokenStoreError):
            keyring_entries.remove_secret(self._name)
            file.old_copy = False
            self._write(file)


def with_tokens(
    stored: StoredSignIn, tokens: TokenSet, used: Secret | None, at: float
) -> StoredSignIn:
    """Return the record with new tokens, which came at `at` for the refresh token `used`.

    `used` stays in the record until the next refresh, if the issuer has rotated it.
    """
    return replace(
        stored,
        sign_in=replace(stored.sign_in, tokens=tokens),
        obtained_at=at,
        previous_refresh=used if used != tokens.refresh else None,
        ended=False,
        trouble=None,
    )


def with_rotated(stored: StoredSignIn, refresh: Secret | None) -> StoredSignIn:
    """Return the record with a refresh token that came without an access token, None for none."""
    if refresh is None:
        return stored
    tokens = stored.sign_in.tokens
    return replace(
        stored,
        sign_in=replace(stored.sign_in, tokens=replace(tokens, refresh=refresh)),
        previous_refresh=tokens.refresh,
    )


def _encode(stored: StoredSignIn) -> bytes:
    """Return the record as JSON, without a client's secret that a command prints."""
    if stored.sign_in.client_secret_command:
        endpoint = replace(stored.sign_in.endpoint, client_secret=None)
        stored = replace(stored, sign_in=replace(stored.sign_in, endpoint=endpoint))
    return msgspec.json.encode(stored, enc_hook=_from_secret)


def _decode(octets: bytes) -> StoredSignIn:
    return msgspec.json.decode(octets, type=StoredSignIn, dec_hook=_to_secret)


def _from_secret(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal().decode()
    raise NotImplementedError


def _to_secret(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value.encode())
    raise NotImplementedError
