"""The configurations of the tests, which are those of Dovecot 2.3, in the form of Dovecot 2.4."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

HEAD = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
_BLOCK = r"^{} {{\n  driver = {}\n  args = {}\n}}$"
_OAUTH2 = _BLOCK.replace("args", "mechanisms = (.*)\n  args").format("passdb", "oauth2", r"(\S+)")
_NAMES = {"u": "uid", "v": "uidvalidity", "m": "md5", "f": "filename", "g": "guid"}
_RULES = {
    r"^disable_plaintext_auth = no$": "auth_allow_cleartext = yes",
    r"^ssl_(cert|key) = <": r"ssl_server_\1_file = ",
    r"^mail_location = (\w+):(\S+?):INBOX=": r"mail_location = \1:\2\nmail_inbox_path = ",
    r"^mail_location = (\w+):": r"mail_driver = \1\nmail_path = ",
    _BLOCK.format("passdb", "static", "password=(.*)"): r"passdb static {\n  password = \1\n}",
    _BLOCK.format("userdb", "static", r"uid=(\S+) gid=(\S+) home=(\S+)"): (
        r"userdb static {\n  fields {\n    uid = \1\n    gid = \2\n    home = \3\n  }\n}"
    ),
    _BLOCK.format("(passdb|userdb)", "passwd-file", r"(\S+)"): (
        r"\1 passwd-file {\n  passwd_file_path = \2\n}"
    ),
    r"^mail_plugins = zlib\nplugin {\n zlib_save = (\w+)\n}$": (
        r"mail_plugins {\n  mail_compress = yes\n}\nmail_compress_write_method = \1"
    ),
    r"^    address = ": "    listen = ",
    r"%u\b": "%{user}",
}


@cache
def is_installed() -> bool:
    """Return whether the Dovecot of this machine is 2.4 or later."""
    said = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.findall(r"\d+", said.stdout)[:2])) >= (2, 4)


def translate(text: str) -> str:
    """Return a whole configuration in the form of Dovecot 2.4."""
    text = re.sub(
        r"^pop3_uidl_format = .*", lambda at: uidl_format(at[0]), text, flags=re.MULTILINE
    )
    text = re.sub(_OAUTH2, _oauth2, text, flags=re.MULTILINE)
    for pattern, new in _RULES.items():
        text = re.sub(pattern, new, text, flags=re.MULTILINE)
    return HEAD + text


def uidl_format(text: str) -> str:
    """Return a simple format of unique-ids in the form of Dovecot 2.4."""
    return re.sub(r"%(?:0(\d))?([XM]?)([uvfgm])", _new_variable, text)


def _new_variable(at: re.Match[str]) -> str:
    width, modifier, name = at.groups()
    filters = {"": "", "X": f" | hex({width or 0})", "M": " | md5"}
    return f"%{{{_NAMES[name]}{filters[modifier]}}}"


def _oauth2(at: re.Match[str]) -> str:
    mechanisms, file = at.groups()
    settings = Path(file).read_text()
    return f"passdb oauth2 {{\n  mechanisms_filter = {mechanisms}\n}}\noauth2 {{\n{settings}}}"
