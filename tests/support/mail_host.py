"""A mail host in a folder: Postfix beside `pop3 serve`, set up as the how-to pages say."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.live import PATIENCE, Client, wait_until
from support.other_user import NOBODY, public_folder
from support.postfix import Postfix, postfix
from support.process import POP3, free_port, wait_for_port
from support.programs import need


@dataclass
class Site:
    """A folder with all that the page speaks of, and `pop3 serve` as the page's user."""

    folder: Path
    pop3: Path
    port: int

    def as_told(self, text: str) -> str:
        """Return a text of the page with the places and the user of this site."""
        for told, here in (
            ("/srv/mail", self.folder / "mail"),
            ("/etc/restante", self.folder),
            ("/var/spool/postfix", self.folder / "postfix/queue"),
            ("/usr/local/bin/pop3", self.pop3),
            ("user=vmail", f"user={pwd.getpwuid(NOBODY[0]).pw_name}"),
        ):
            text = text.replace(told, str(here))
        return text

    def add(self, user: str) -> None:
        command: list[str | Path] = [
            POP3,
            "user",
            "add",
            user,
            "--password-stdin",
            "--users",
            self.folder / "users",
        ]
        subprocess.run(command, input=b"secret\n", check=True, capture_output=True)
        os.chown(self.folder / "users", *NOBODY)

    def retrieve(self, user: str) -> bytes:
        """Wait for one message, and return it as POP3 sends it."""

        def stat() -> bytes:
            with Client(self.port) as client:
                client.log_in(user, "secret")
                return client.say("STAT")

        wait_until(lambda: stat().startswith(b"+OK 1 "))
        with Client(self.port) as client:
            client.log_in(user, "secret")
            client.say("RETR 1")
            lines = client.read_lines()
        return b"".join(line[1:] if line.startswith(b".") else line for line in lines)


@contextlib.contextmanager
def mail_host(pop3: Path, config: str, *accounts: str) -> Iterator[Site]:
    """Serve with a configuration of the pages while the block runs; needs Postfix and root."""
    if os.getuid() != 0:
        pytest.skip("Postfix requires root")
    need("postfix")
    with public_folder() as folder:
        site = Site(folder, pop3, free_port())
        (folder / "mail").mkdir(mode=0o700)
        os.chown(folder / "mail", *NOBODY)
        for name in accounts:
            site.add(name)
        socket_folder = folder / "postfix/queue/restante"
        socket_folder.mkdir(parents=True)
        shutil.chown(socket_folder, NOBODY[0], "postfix")
        socket_folder.chmod(0o2750)
        (folder / "restante.toml").write_text(site.as_told(config))
        with serving(site):
            yield site


@contextlib.contextmanager
def serving(site: Site) -> Iterator[None]:
    config = site.folder / "restante.toml"
    command: list[str | Path] = [
        site.pop3,
        "serve",
        "--config",
        config,
        "--listen",
        f"127.0.0.1:{site.port}",
    ]
    uid, gid = NOBODY
    with (site.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stderr=log, user=uid, group=gid, extra_groups=[], cwd=site.folder
        )
        with process:
            try:
                wait_for_port(site.port, process)
                yield
                process.terminate()
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()
    lines = (site.folder / "log").read_text().splitlines()
    errors = [line for line in lines if "level=error" in line]
    assert [line for line in errors if "event=accounts" not in line] == []  # tests hide the file


@contextlib.contextmanager
def running(site: Site, main: str, master: str = "") -> Iterator[Postfix]:
    with postfix(site.folder / "postfix", site.as_told(main), site.as_told(master)) as found:
        yield found
