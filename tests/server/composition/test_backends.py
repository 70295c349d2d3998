"""What a configuration makes of the mail stores and the recipients of mail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from restante.delivery.recipients import AccountRecipients, StoreRecipients
from restante.server.composition import backends
from restante.server.config.loader import load
from restante.storage.memory import MemoryStore
from support.live import wait_until
from support.process import serving


def test_unused_list_of_unique_ids_is_logged(tmp_path: Path) -> None:
    """The log names the Maildir whose list is not used, the reason and what to do."""
    config = tmp_path / "restante.toml"
    config.write_text('[mail]\nunique_ids = "%08Xu%08Xv"\n')
    with serving(tmp_path, "--config", config) as served:
        maildir = served.add("ann", "secret", b"Subject: a\n\nhello\n")
        (maildir / "dovecot-uidlist").write_bytes(b"no\nlist\n")
        with served.connect() as client:
            client.log_in("ann", "secret")
        wait_until(lambda: "event=unique_ids " in served.log.read_text())
        (event,) = [
            line for line in served.log.read_text().splitlines() if "event=unique_ids " in line
        ]
    assert f"folder={maildir} " in event
    assert "it is damaged, or of another kind; clients download all messages again" in event


@pytest.mark.skipif(os.geteuid() != 0, reason="only root serves the folders of others")
def test_foreign_files_are_logged(tmp_path: Path) -> None:
    """The log names the Maildir with a file of another user, the file and what to do."""
    with serving(tmp_path) as served:
        maildir = served.add("ann", "secret", b"Subject: a\n\nhello\n")
        os.chown(maildir, 1234, 1234)
        with served.connect() as client:
            client.log_in("ann", "secret")
            assert client.say("STAT") == b"+OK 0 0\r\n"
        wait_until(lambda: "event=foreign_files " in served.log.read_text())
        (event,) = [
            line for line in served.log.read_text().splitlines() if "event=foreign_files " in line
        ]
    assert f"folder={maildir} " in event
    assert "which belongs to user 0; change its owner to user 1234 if it is mail" in event


@pytest.mark.parametrize(
    ("source", "recipients", "kind"),
    [
        ("users", "auto", AccountRecipients),
        ("users", "accounts", AccountRecipients),
        ("users", "folders", StoreRecipients),
        ("pam", "auto", StoreRecipients),
        ("pam", "folders", StoreRecipients),
    ],
)
def test_recipients(tmp_path: Path, source: str, recipients: str, kind: type) -> None:
    """Recipients have an account, or a folder if that is asked or the accounts have no list."""
    config = load(
        None,
        {
            "mail": {"folder": tmp_path},
            "accounts": {source: str(tmp_path / "users")},
            "delivery": {"recipients": recipients},
        },
    )
    backends.check_recipients(config)
    store, accounts = MemoryStore(), cast("Any", None)
    assert isinstance(backends.build_recipients(config, store, accounts), kind)
