"""Fields of an account in a file that have no effect under a configuration are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import pop3

HASH = f"$6$saltsalt${'x' * 86}"


def test_list_knows_the_configuration(tmp_path: Path) -> None:
    """`pop3 user list --config` reports the same as the log; `--users` knows less."""
    folder = tmp_path / "mail"
    folder.mkdir()
    users = tmp_path / "users"
    lines = [
        f"ann@example.com:{HASH}::::::userdb_mail=maildir:{folder}/ann@example.com",
        f"bob@example.com:{HASH}::::::userdb_mail=maildir:/srv/other",
        f"cy:{HASH}",
    ]
    users.write_text("\n".join(lines) + "\n")
    users.chmod(0o600)
    config = tmp_path / "restante.toml"
    config.write_text(
        '[mail]\nfolder = "mail"\n[accounts]\nusers = "users"\n'
        '[login]\ndefault_domain = "example.com"\n'
    )
    listed = pop3("user", "list", "--config", config).err
    assert listed.replace(f"{users}: ", "").splitlines() == [
        f"'bob@example.com': userdb_mail= has no effect: the mail lies in {folder}/bob@example.com",
        "'cy' cannot log in, and gets no mail: login.default_domain makes it 'cy@example.com'",
    ]
    checked = pop3("config", "check", config).err
    assert checked.replace("Warning: accounts: problem ", "") == listed
    alone = pop3("user", "list", "--users", users).err
    assert [line.split("'")[1] for line in alone.splitlines()] == [
        "ann@example.com",
        "bob@example.com",
    ]


@pytest.mark.parametrize(("secret", "warned"), [("", True), ("dan:::::::secret=tanstaaf\n", False)])
def test_no_secret(secret: str, tmp_path: Path, *, warned: bool) -> None:
    """APOP that no account can use is reported, since some clients try it first."""
    (tmp_path / "mail").mkdir()
    users = tmp_path / "users"
    users.touch(0o600)
    users.write_text(f"ann:{HASH}\n{secret}")
    config = tmp_path / "restante.toml"
    settings = '[mail]\nfolder = "mail"\n[accounts]\nusers = "users"\n[login]\napop = true\n'
    config.write_text(settings)
    text = f"{users}: login.apop: no account has a secret=, "
    for words in (("user", "list", "--config"), ("config", "check")):
        assert (text in pop3(*words, config).err) is warned


def test_accounts_with_one_maildrop(tmp_path: Path) -> None:
    """A layout without {domain} gives accounts of two domains one maildrop, which is reported."""
    (tmp_path / "mail").mkdir()
    users = tmp_path / "users"
    users.touch(0o600)
    names = ("ann@example.com", "bob@example.com", "ann@example.org", "ann")
    users.write_text("".join(f"{name}:{HASH}\n" for name in names))
    config = tmp_path / "restante.toml"
    least = '[accounts]\nusers = "users"\n[mail]\nfolder = "mail"\n'
    config.write_text(f'{least}layout = "{{local}}"\n')
    assert pop3("user", "list", "--config", config).err.splitlines() == [
        f"{users}: {name!r} has the maildrop of 'ann@example.com': mail.layout lacks {{domain}}"
        for name in ("ann@example.org", "ann")
    ]
    config.write_text(least)
    assert pop3("user", "list", "--config", config).err == ""
