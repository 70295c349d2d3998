"""Dynamic registration of a client at an issuer, and the ids that were registered. RFC 7591.

The profile of draft-ietf-mailmaint-oauth-public: a native client without a secret, whose redirect
URIs are on the loopback interface. Device codes are not part of it: servers refuse them to clients
that register themselves.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from restante.file_kinds import is_folder
from restante.oauth import private_files
from restante.oauth.errors import OAuthError
from restante.oauth.issuer_requests import is_success, post_json
from restante.oauth.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from restante.oauth.metadata import AuthorizationServer

CLIENT_NAME = "Restante"
REDIRECTS = ("http://127.0.0.1/", "http://localhost/")  # any port: RFC 8252 section 7.3
PUBLIC = "none"  # a client without a secret. Some issuers give it one all the same
PATIENCE = 10.0  # seconds for another process that writes there
LONGEST_ID = 1024  # characters


def register(server: AuthorizationServer, scope: str) -> str:
    """Return the id of a new client. Raises OAuthError: the issuer registers none."""
    metadata = {
        "client_name": CLIENT_NAME,
        "application_type": "native",
        "redirect_uris": list(REDIRECTS),
        "token_endpoint_auth_method": PUBLIC,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": scope,
    }
    status, body, wait = post_json(server.registration, metadata)
    if not is_success(status):
        raise refusal(status, body, wait=wait)
    client_id = body.get("client_id")
    if not isinstance(client_id, str) or not 0 < len(client_id) <= LONGEST_ID:
        raise OAuthError("oauth-answer", "the issuer's answer has no client id")
    if body.get("client_secret") and body.get("token_endpoint_auth_method") != PUBLIC:
        text = "the issuer registers only clients with a secret, and a program cannot keep one"
        raise OAuthError("oauth-client", text)
    return client_id


@dataclass(frozen=True, slots=True)
class Registrations:
    """The ids that issuers gave to this user's clients: a file each, in a folder.

    Its methods raise TokenStoreError.
    """

    folder: Path

    def find(self, issuer: str) -> str:
        """Return the id at an issuer, "" for none."""
        if not is_folder(self.folder):
            return ""
        with private_files.open_folder(self.folder) as folder:
            octets = private_files.read(folder, self._path(issuer))
        try:
            entry = json.loads(octets or b"{}")
        except (ValueError, RecursionError):
            return ""  # it is registered again
        is_of_issuer = isinstance(entry, dict) and entry.get("issuer") == issuer
        return str(entry.get("client_id", "")) if is_of_issuer else ""

    def keep(self, issuer: str, client_id: str) -> None:
        """Keep the id of a client at an issuer."""
        octets = json.dumps({"issuer": issuer, "client_id": client_id}).encode()
        with self._locked_folder() as folder:
            private_files.write(folder, self._path(issuer), octets)

    def forget(self, issuer: str) -> None:
        """Forget the id at an issuer, which no longer knows it."""
        with self._locked_folder() as folder:
            private_files.remove(folder, self._path(issuer))

    @contextlib.contextmanager
    def _locked_folder(self) -> Iterator[int]:
        """Open the folder, and lock it: another sign-in may write there, too."""
        with private_files.open_folder(self.folder) as folder:
            private_files.wait_for_lock(folder, self.folder, PATIENCE)
            yield folder

    def _path(self, issuer: str) -> Path:
        return self.folder / f"{quote(issuer, safe='')[:200]}.json"
