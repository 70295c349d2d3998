"""The listeners beside POP3, and what a reload changes of them."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from restante.server.composition.extra_listeners import build_extra_listeners, reconfigure
from restante.server.config import loader
from restante.server.config.loader import ConfigError
from restante.server.config.schema import Config
from support.live import PATIENCE, wait_until
from support.process import free_port
from support.workers import working

LETTER = "Subject: a\r\n\r\nhello\r\n.\r\n"


def configured(folder: Path, **sections: Mapping[str, object]) -> Config:
    (folder / "users").touch()
    base: dict[str, Mapping[str, object]] = {
        "mail": {"folder": folder},
        "accounts": {"users": folder / "users"},
    }
    return loader.load(None, {**base, **sections})


@pytest.mark.parametrize(
    ("delivery", "listeners"),
    [({}, 0), ({"lmtp": "127.0.0.1:24"}, 1), ({"smtp": "127.0.0.1:25"}, 1)],
)
def test_delivery(tmp_path: Path, delivery: dict[str, object], listeners: int) -> None:
    """Mail comes in by LMTP, by SMTP, or not at all."""
    assert len(build_extra_listeners(configured(tmp_path, delivery=delivery))) == listeners


def test_reconfigured(tmp_path: Path) -> None:
    """Listeners get the settings of another configuration, and keep their sockets."""
    sockets = {"lmtp": str(tmp_path / "lmtp")}, {"path": tmp_path / "auth"}
    before = configured(
        tmp_path, delivery={**sockets[0], "message_size": 70_000}, auth_socket=sockets[1]
    )
    opened = [(listener, listener.open()) for listener in build_extra_listeners(before, "; hint")]
    try:
        after = configured(
            tmp_path, delivery={"lmtp": "127.0.0.1:24", "message_size": 80_000, "connections": 3},
            auth_socket={"connections": 4}, login={"clear_text": "never"}, timeouts={"stop": 5},
        )  # fmt: skip
        delivery, auth = reconfigure(opened, after)
        assert [delivery[1], auth[1]] == [sockets for _, sockets in opened]
        settings = delivery[0].settings  # type: ignore[attr-defined]
        assert (settings.message_size, settings.connections) == (80_000, 3)
        assert settings.lmtp == str(tmp_path / "lmtp")
        assert vars(delivery[0]) | {"settings": settings} == vars(delivery[0])
        assert vars(delivery[0])["unknown_hint"] == "; hint"
        assert vars(delivery[0])["stop_patience"] == 5
        assert (vars(auth[0])["clear_text"], vars(auth[0])["stop_patience"]) == ("never", 5)
        assert vars(auth[0])["settings"].connections == 4
        assert vars(auth[0])["path"] == tmp_path / "auth"
        assert opened[0][0].settings.message_size == 70_000  # type: ignore[attr-defined]
    finally:
        for listener, sockets_of in opened:
            listener.close()
            for each in sockets_of:
                each.close()


def test_configuration_that_cannot_be_used(tmp_path: Path) -> None:
    """A mistake that the listeners would meet is an error before anything changes."""
    before = configured(tmp_path, delivery={"lmtp": str(tmp_path / "lmtp")})
    wrong = loader.load(
        None,
        {
            "mail": {"folder": tmp_path},
            "accounts": {"pam": "pop3"},
            "delivery": {"recipients": "accounts"},
        },
    )
    with pytest.raises(ConfigError, match="cannot list accounts"):
        reconfigure([(each, ()) for each in build_extra_listeners(before)], wrong)


def talk(port: int, *lines: str) -> list[str]:
    """Say lines by LMTP, and return the last line of each reply after the greeting."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        file = client.makefile("rw", newline="")
        replies = []
        for line in ("", "LHLO me", *lines):
            if line:
                file.write(line if line.endswith("\r\n") else f"{line}\r\n")
                file.flush()
            while (reply := file.readline())[3:4] == "-":
                replies.append(reply.strip())
            replies.append(reply.strip())
    return replies


def test_reload(tmp_path: Path) -> None:
    """New workers deliver by the new configuration; the log names what requires a restart."""
    port = free_port()
    config = f"[mail]\nquota_messages = 1\n[delivery]\nlmtp = '127.0.0.1:{port}'\n"
    with working(tmp_path, config + "message_size = 70000\n") as workers:
        workers.served.add("ann", "secret", b"Subject: first\n\n")
        assert "250-SIZE 70000" in talk(port)
        workers.config.write_text(
            config.replace("= 1", "= 9") + "message_size = 80000\nover_quota = 'reject'\n"
        )
        workers.served.process.send_signal(signal.SIGHUP)
        workers.wait_for("reloaded")
        wait_until(lambda: "250-SIZE 80000" in talk(port))
        workers.wait_for("worker_ended", 2)  # they have the earlier quota
        said = talk(port, "MAIL FROM:<a@b>", "RCPT TO:<ann>", "DATA", LETTER)
        assert said[-1] == "250 2.0.0 delivered"
        assert workers.events("reload_is_partial") == []
        workers.config.write_text(config.replace(str(port), str(free_port())))
        workers.served.process.send_signal(signal.SIGHUP)
        workers.wait_for("reload_is_partial")
        assert "[delivery]" in workers.events("reload_is_partial")[0]
