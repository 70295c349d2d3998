"""The log reports faults of accounts to the administrator."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest
import scramp
import structlog

from restante.auth.file import passwd_file
from restante.auth.file.passwd_entry import replace_credentials
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords import scram
from restante.protocol.secret import Secret
from restante.server.composition import backends, components
from restante.server.config.loader import ConfigError, load
from support.live import Client, wait_until
from support.process import serving

HASH = password_hashing.hash_password(Secret(b"secret"))
KEYS = scram.create_keys("SCRAM-SHA-256", Secret(b"secret"))


@pytest.mark.parametrize(
    ("scram_setting", "keys", "offered"),
    [
        ("always", {}, {"SCRAM-SHA-256"}),
        ("always", {"SCRAM-SHA-256": KEYS}, {"SCRAM-SHA-256"}),
        ("always", {"SCRAM-SHA-1": KEYS}, {"SCRAM-SHA-256", "SCRAM-SHA-1"}),
        ("auto", {"SCRAM-SHA-1": KEYS}, set()),
        ("never", {"SCRAM-SHA-1": KEYS}, set()),
    ],
)
def test_scram_sha_1_requires_keys(
    tmp_path: Path, scram_setting: str, keys: dict[str, scram.ScramKeys], offered: set[str]
) -> None:
    """policy/scram-keys: SCRAM-SHA-1 is offered if an account has keys for it; else clients that
    prefer it would fail with the right password.
    """
    lines = [replace_credentials("ann:", HASH, keys), f"bob:{HASH}"]
    (tmp_path / "users").write_text("".join(f"{line}\n" for line in lines))
    config = load(
        None,
        {
            "mail": {"folder": tmp_path},
            "accounts": {"users": tmp_path / "users"},
            "login": {"scram": scram_setting},
        },
    )
    mechanisms = components.build_context(config, structlog.get_logger()).offer().mechanisms
    assert {name for name in mechanisms if "SCRAM" in name and "PLUS" not in name} == offered


@pytest.mark.parametrize("workers", [1, 2])
def test_file_problem_reported_once(tmp_path: Path, workers: int) -> None:
    """A problem of the file is reported once, even if the server delivers mail too."""
    users = tmp_path / "users"
    users.touch(0o644)
    users.write_text(f"ann:{HASH}::::::expire_day=3\n")
    users.chmod(0o644)
    config = tmp_path / "restante.toml"
    config.write_text(
        f"""[delivery]
        lmtp = "{tmp_path / "lmtp"}"
        [server]
        workers = {workers}
        """.replace("        ", "")
    )
    with serving(tmp_path, "--config", config) as served:
        with served.connect() as client:
            client.log_in("Ann", "secret")
            client.say("QUIT")
        assert served.stop() == 0
        log = served.log.read_text()
    told = [line for line in log.splitlines() if "event=accounts" in line]
    assert len(told) == 2
    assert "all users of this machine can read it" in told[0]
    assert "chmod 600" in told[0]
    assert "did you mean expire_days?" in told[1]


def test_empty_file_is_reported(tmp_path: Path) -> None:
    """A file that is empty, at the start or later, is reported."""
    with serving(tmp_path) as served:
        wait_until(lambda: served.log.read_text().count("it has no account that can log in") == 1)
        served.add("ann", "secret")
        with served.connect() as client:
            client.log_in("ann", "secret")
        served.users.write_text("")
        with served.connect() as client:
            client.read_line()
            client.say("USER ann")
            assert client.say("PASS secret").startswith(b"-ERR [SYS/TEMP]")
        wait_until(lambda: "level=error event=accounts" in served.log.read_text())
        wait_until(lambda: served.log.read_text().count("it has no account that can log in") == 2)


def scram_over(client: Client, user: str, password: str) -> bytes:
    """Log in by SCRAM, and return the last reply."""
    ours = scramp.ScramClient(["SCRAM-SHA-256"], user, password)
    first = base64.b64encode(ours.get_client_first().encode()).decode()
    challenge = client.say(f"AUTH SCRAM-SHA-256 {first}")
    ours.set_server_first(base64.b64decode(challenge[2:]).decode())
    final = client.say(base64.b64encode(ours.get_client_final().encode()).decode())
    return client.say("") if final.startswith(b"+ ") else final


def test_log_explains_failed_login(tmp_path: Path) -> None:
    """implied/no-user-enumeration: the log says why a login fails, and clients always get the same
    reply.
    """
    keys = f"scram-sha-256={KEYS}"
    lines = [f"ann:{HASH}::::::{keys}", f"away:{HASH}::::::nologin=y {keys}", "bad:x"]
    (tmp_path / "users").touch(0o600)
    (tmp_path / "users").write_text("\n".join(lines))
    fails = [
        ("ann", "wrong", "wrong password"),
        ("nobody", "secret", "unknown name"),
        ("bad", "x", "its line is invalid"),
        ("away", "secret", "locked by nologin"),
    ]
    with serving(tmp_path) as served:
        with served.connect() as client:
            assert client.read_line().startswith(b"+OK")
            heard = set()
            for user, password, _ in fails:
                client.say(f"USER {user}")
                heard.add(client.say(f"PASS {password}"))
                heard.add(scram_over(client, user, password))
            assert heard == {b"-ERR [AUTH] Name or password is wrong.\r\n"}
            assert scram_over(client, "Ann", "secret") == b"+OK Logged in.\r\n"
            client.say("QUIT")
        wait_until(lambda: "user=ann tls=" in served.log.read_text())
        log = served.log.read_text()
    for user, _, reason in fails:
        for method in ("password", "SCRAM"):
            assert f'user={user} method={method} reason="{reason}" session=' in log


def refused(folder: Path) -> str:
    """Return why the accounts in a folder cannot be used."""
    flags = {"mail": {"folder": folder}, "accounts": {"users": folder / "users"}}
    with pytest.raises(ConfigError) as caught:
        backends.build_accounts(load(None, flags), structlog.get_logger())
    return str(caught.value)


def test_only_a_file_that_is_not_there_is_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only for a missing file does the error suggest `pop3 user add`."""
    assert refused(tmp_path).endswith("; check the path; `pop3 user add` creates it")
    (tmp_path / "users").mkdir()
    assert refused(tmp_path).endswith(
        "users: Is a directory; replace it by a file, or choose another path"
    )

    def denied(_: Path, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(passwd_file, "read", denied)
    told = refused(tmp_path)
    assert "Permission denied; check its owner and its permissions" in told
    assert "pop3 user add" not in told


def test_new_maildir_is_in_the_log(tmp_path: Path) -> None:
    """A login that makes a Maildir says so, once, with its place."""
    with serving(tmp_path) as served:
        shutil.rmtree(served.add("ann", "secret"))
        for _ in range(2):
            with served.connect() as client:
                client.log_in("ann", "secret")
                client.say("QUIT")
        wait_until(lambda: served.log.read_text().count("user=ann tls=") == 2)
        log = served.log.read_text()
    (event,) = [line for line in log.splitlines() if "event=maildir_made" in line]
    assert f"user=ann folder={served.mail}/ann" in event
