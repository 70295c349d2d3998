"""The error of each mistake: every key with values of each type, and each rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from golden.recording import compare, masked
from restante.server.config.loader import ConfigError, load
from restante.server.config.schema import Config
from restante.server.config.section import ConfigSection

LEAST = '[mail]\nfolder = "mail"\n[accounts]\nusers = "users"\n'
CLUSTER = "[mail]\nformat = 'cluster'\n[cluster]\npostgresql_dsn_file = 'a'"

VALUES = ("-1", "1.5", "10000000000", "true", '""', '"a b"', '["a b"]')

TEXTS = [
    "", "[mail", "mail = 5", "[extra]", "a = 1\n[mail]\nfoldr = 'x'", "\\", "a = '\x01'",
    "[accounts]\nusers = 'a'\npam = 'b'", "[mail]\nfolder='m'\n[accounts]\npostgresql_dsn_file='f'",
    *(f"{LEAST}[server]\nlisten = [{text!r}]" for text in
      ("here", "::1:110", "a:99999", "[zz]:1", ":110", "a:-1", "a:x", "[::1]")),
    *(f"{LEAST}[server]\n{line}" for line in
      ("lisen = []", "greeting = 'a <b>'", "greeting = '[x]'", "greeting = '\u00e4'",
       f"greeting = '{'x' * 201}'", f"implementation = '{'x' * 201}'",
       "implementation = '\u00e4'", "proxies = ['10.0.0.1/8']",
       "workers = 65")),
    *(f"{LEAST}[tls]\ncertificates = {value}" for value in
      ("[{}]", "[{ certificate = 'a' }]", "[{ certificate = 'a', key = 'b', x = 1 }]", "['a']")),
    *(LEAST.replace("[acc", f"{line}\n[acc") for line in
      ("layout = '../{user}'", "layout = '{domain}'", "layout = '{name}'",
       "layout = '{local}.{domain}'", "unique_ids = '%v'")),
    *(f"{LEAST}[delivery]\nlmtp = {text!r}" for text in
      ("0.0.0.0:24", "*:24", "mail.example.com:24", "lmtp:x")),
    *(f"{LEAST}[delivery]\nsmtp = {text!r}" for text in ("/run/smtp", "192.0.2.1:25")),
    *(f"{LEAST}[delivery]\n{line}" for line in
      ("socket_mode = 'rw'", "recipient_delimiter = '--'", "message_size = 5",
       "junk_extension = 'spam'")),
    *(f"{CLUSTER}\n[cluster.shards.{name}]\npostgresql_dsn_file = 'b'" for name in
      ("first", "A", "'-'", f"'{'x' * 33}'")),
    *(f"{LEAST}[tokens]\njwks = {url!r}" for url in
      ("http://issuer.example.com/", "ftp://127.0.0.1/", "https://", "https://[zz]/")),
    f"{LEAST}[tokens]\nintrospection = '/etc/keys'",
    *(f"[mail]\nfolder = 'mail'\n[accounts]\n{accounts}\n{line}" for accounts in
      ("pam = 'restante'", "postgresql_dsn_file = 'f'\npostgresql_query = 'SELECT 1'") for line in
      ("[login]\nscram = 'always'", "[login]\napop = true\ncram_md5 = true",
       "[tls]\nclient_ca = 'ca.pem'", "[tokens]\njwks = 'k'\nintrospection = 'https://a/'")),
]  # fmt: skip


def problems(file: Path, text: str) -> str:
    file.write_text(text)
    try:
        load(file, {})
    except ConfigError as error:
        found = "\n".join(sorted(f"  {problem}" for problem in error.problems))
        return masked(found, {f"{file}: ": "", file.parent: "DIR"})
    return "  accepted"


def keys(section: type[ConfigSection]) -> Iterator[tuple[str, str]]:
    for table in msgspec.structs.fields(section):
        for field in msgspec.structs.fields(table.type):
            yield table.name, field.name


def test_every_key(tmp_path: Path) -> None:
    """Each key gets a value of each type, and all keys an unknown neighbour."""
    parts = []
    for table, key in keys(Config):
        parts.append(f"{table}.{key}")
        for value in VALUES:
            least = {"mail": {"folder": '"mail"'}, "accounts": {"users": '"users"'}}
            least.setdefault(table, {})[key] = value
            text = "".join(
                f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items())
                for name, values in least.items()
            )
            parts.append(f"  {value}:{problems(tmp_path / 'restante.toml', text)}")
    compare("configuration/keys.txt", "\n".join(parts) + "\n")


def test_every_rule(tmp_path: Path) -> None:
    """Each rule about values of the right type has its error."""
    parts = []
    for text in TEXTS:
        rest = text.removeprefix(LEAST)
        lines = rest.strip().encode("unicode_escape").decode().split("\\n")
        shown = "".join(f"| {line[:90]}\n" for line in lines)
        parts.append(shown + problems(tmp_path / "restante.toml", text))
    compare("configuration/rules.txt", "\n".join(parts) + "\n")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder, and a file that is not UTF-8."""
    (tmp_path / "odd.toml").write_bytes(b"a = '\xff'")
    found = []
    for name in ("none.toml", ".", "odd.toml"):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / name, {})
        found += caught.value.problems
    compare("configuration/files.txt", masked("\n".join(found) + "\n", {tmp_path: "DIR"}))
