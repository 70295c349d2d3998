"""The file that `cluster.objects_secret_file` names: address and keys of an object store.

It is in TOML, with the names of obstore's settings:

    endpoint = "https://s3.example.org"
    access_key_id = "restante"
    secret_access_key = "..."
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from restante.net.addresses import is_loopback
from restante.toml_input import TomlError, parse_toml

if TYPE_CHECKING:
    from restante.protocol.secret import Secret

_CLIENT = frozenset({"allow_http", "root_certificate", "proxy_url"})


class ObjectSettings(NamedTuple):
    """Settings for obstore. They have secrets, so they are never shown.

    Attributes:
        store: those of the kind of store, such as `endpoint`.
        client: those of the HTTP client, such as `allow_http`.
    """

    store: dict[str, Any]
    client: dict[str, Any]

    def __repr__(self) -> str:
        return "ObjectSettings(***)"


def parse_secret(secret: Secret | None) -> ObjectSettings:
    """Return the settings in a file. Raises ValueError, with the line, but without any value."""
    if secret is None:
        return ObjectSettings({}, {})
    try:
        values = parse_toml(secret.reveal().decode())
    except UnicodeDecodeError:
        raise ValueError("the file is not in UTF-8") from None
    except TomlError as error:
        raise ValueError(
            f'the file is not TOML, with lines such as endpoint = "https://s3.example.org": {error}'
        ) from None
    if wrong := [key for key, value in values.items() if not isinstance(value, str | bool)]:
        raise ValueError(f"{wrong[0]}: must be a text in quotes, or true or false")
    client = {key: value for key, value in values.items() if key in _CLIENT}
    store = {key: value for key, value in values.items() if key not in _CLIENT}
    endpoint = str(store.get("endpoint", ""))
    if urlsplit(endpoint).scheme == "http" and "allow_http" not in client:
        if not is_loopback(urlsplit(endpoint).hostname or ""):
            raise ValueError(
                "endpoint: mail would cross the network without TLS; use https,"
                " or add allow_http = true if that network is private"
            )
        client["allow_http"] = True
    return ObjectSettings(store, client)
