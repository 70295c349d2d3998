"""Ways to put a message into the mailbox."""

from __future__ import annotations

import contextlib
import os
import smtplib
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from restante.net.addresses import parse_host_port
from restante.net.host_names import require_host
from restante.protocol.text import decode_text
from restante.system_errors import explain_path
from restante.user_commands import describe_end, split_command

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 30.0  # for one command, or one reply of LMTP
MAX_SAID = 200  # characters of what a failed command said


class DeliveryError(Exception):
    """A message could not be delivered; the text says why."""


class Deliver(Protocol):
    """A way to deliver."""

    exact: bool  # whether the octets arrive as they are, with no header added

    def put(self, message: bytes) -> None:
        """Deliver a message. Raises DeliveryError."""

    def clean_up(self) -> None:
        """Remove what is still there, if that can be done without the server."""


@dataclass(slots=True)
class Maildir:
    """Write into a Maildir: first to tmp, then to new."""

    folder: Path
    exact: bool = True
    _names: list[str] = field(default_factory=list)

    def put(self, message: bytes) -> None:
        """Deliver a message. Raises DeliveryError."""
        name = f"{int(time.time())}.V{os.getpid()}Q{len(self._names):03d}.{socket.gethostname()}"
        self._names.append(name)
        try:
            temporary = self.folder / "tmp" / name
            temporary.write_bytes(message)
            like = (self.folder / "new").stat()
            with contextlib.suppress(PermissionError):
                os.chown(temporary, like.st_uid, like.st_gid)
            temporary.rename(self.folder / "new" / name)
        except OSError as error:
            raise DeliveryError(explain_path(self.folder, error)) from None

    def clean_up(self) -> None:
        """Remove the files that this run wrote, whatever flags they got."""
        mine = set(self._names)
        for part in ("tmp", "new", "cur"):
            with contextlib.suppress(OSError):
                for file in (self.folder / part).iterdir():
                    if file.name.partition(":")[0].partition(",")[0] in mine:
                        file.unlink(missing_ok=True)


@dataclass(slots=True)
class Lmtp:
    """Send by LMTP to a server at host:port or a socket's path, which has `seconds` a reply."""

    address: str
    recipient: str
    exact: bool = False
    seconds: float = SECONDS

    def put(self, message: bytes) -> None:
        """Deliver a message. Raises DeliveryError."""
        octets = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        place = self._host_and_port()
        try:
            if place[1]:
                require_host(place[0])
            with smtplib.LMTP(*place, timeout=self.seconds) as server:
                server.sendmail("verify@example.com", [self.recipient], octets)
        except UnicodeEncodeError:
            text = f"LMTP cannot send to {self.recipient!r}, which is not ASCII; use --maildir"
            raise DeliveryError(text) from None
        except ValueError as error:
            raise DeliveryError(f"LMTP at {self.address}: {error}") from None
        except smtplib.SMTPException as error:
            raise DeliveryError(f"LMTP at {self.address}: {_describe_refusal(error)}") from None
        except OSError as error:
            raise DeliveryError(f"LMTP at {explain_path(self.address, error)}") from None

    def clean_up(self) -> None:
        """Leave it to the POP3 server."""

    def _host_and_port(self) -> tuple[str, int]:
        """Return a host and a port, or the path of a socket and 0, as smtplib expects them."""
        with contextlib.suppress(ValueError):
            if "/" not in self.address:
                return parse_host_port(self.address)
        return os.path.abspath(self.address), 0


@dataclass(slots=True)
class DeliveryCommand:
    """Run a command with the message on its standard input."""

    command: str
    exact: bool = False

    def put(self, message: bytes) -> None:
        """Deliver a message. Raises DeliveryError."""
        try:
            words = split_command(self.command)
            ended = subprocess.run(  # noqa: S603  # it is the user's own
                words, input=message, check=False, timeout=SECONDS, capture_output=True
            )
        except ValueError as error:
            raise DeliveryError(f"{self.command}: {error}") from None
        except OSError as error:
            raise DeliveryError(explain_path(words[0], error)) from None
        except subprocess.TimeoutExpired:
            raise DeliveryError(f"{words[0]} did not end within {SECONDS:g} seconds") from None
        if ended.returncode:
            last = decode_text(ended.stderr.strip().rpartition(b"\n")[2])[:MAX_SAID]
            said = f": {last}" if last else ""
            raise DeliveryError(f"{words[0]} ended with {describe_end(ended.returncode)}{said}")

    def clean_up(self) -> None:
        """Leave it to the POP3 server."""


def _describe_refusal(error: smtplib.SMTPException) -> str:
    """Return the reply that a server refused something with, or what else went wrong."""
    reply: tuple[int, bytes | str]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        (reply,) = error.recipients.values()
    elif isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_code, error.smtp_error
    else:
        return str(error)
    code, octets = reply
    text = decode_text(octets) if isinstance(octets, bytes) else octets
    return f"it replied {code} {' '.join(text.split())[:MAX_SAID]}"
