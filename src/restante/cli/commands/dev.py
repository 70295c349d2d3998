"""`pop3 dev`."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from restante.cli.event_queue import EventQueue
from restante.cli.options.password import read_password_file
from restante.cli.options.prompts import ask
from restante.cli.options.values import FilePath
from restante.system_errors import describe, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from restante.developer.server import DeveloperOptions, DeveloperServer
    from restante.protocol.secret import Secret
    from restante.server.tls.certificate_files import CertificateFiles
    from restante.web.page import ServerAddresses

F = TypeVar("F", bound="Callable[..., Any]")

PAGE_VARIABLE = "POP3_WEB_PASSWORD"  # a name
MAIL_VARIABLE = "POP3_DEV_PASSWORD"  # a name
HAND_TYPED = 600  # seconds for a login that a person types
PORT = click.IntRange(0, 65535)
FOLDER = FilePath(path_type=Path, file_okay=False)
PASSWORD_FILE = FilePath(dir_okay=False, allow_dash=True)


class DevPorts(NamedTuple):
    """The address and the ports, 0 for any free port."""

    host: str
    pop3: int
    pop3s: int
    smtp: int
    web: int


def port_option(flag: str, name: str, default: int, text: str) -> Callable[[F], F]:
    """Return the option of a port; 0 is any free one."""
    return click.option(
        flag, name, type=PORT, metavar="N", default=default, show_default=True, help=text
    )


@click.command()
@click.option(
    "--keep", type=FOLDER, metavar="DIR", help="Keep the mail in DIR.  [default: in memory]"
)
@click.option("--demo", is_flag=True, help="Add a demo account with five messages.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="Switch on a fault of `pop3 misbehave`, or one of SMTP, such as smtp-busy; may be "
    "repeated.",
)
@click.option(
    "--password",
    "mail_file",
    type=PASSWORD_FILE,
    metavar="FILE",
    help="Accept only the password in FILE, or ask for it with -. Then SCRAM, CRAM-MD5 and APOP "
    "work, too. "
    f"The variable {MAIL_VARIABLE} has the same effect.  [default: any password]",
)
@port_option("--port", "pop3", 1110, "Listen for POP3 on this port.")
@port_option("--tls-port", "pop3s", 1995, "Listen for POP3 with TLS on this port.")
@port_option("--smtp-port", "smtp", 1025, "Listen for SMTP on this port.")
@port_option("--web-port", "web", 8025, "Serve the page and the API on this port.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Listen on this IP address. If others can reach it, the page requires a password.",
)
@click.option(
    "--web-password",
    "page_file",
    type=PASSWORD_FILE,
    metavar="FILE",
    help="Require the password in FILE for the page and the API, or ask for it with -. "
    f"The variable {PAGE_VARIABLE} has the same effect.",
)
def dev(  # noqa: PLR0913  # an option each
    keep: Path | None,
    *,
    demo: bool,
    faults: Sequence[str],
    mail_file: str | None,
    page_file: str | None,
    host: str,
    **ports: int,
) -> None:
    """Serve a mailbox for development, and a page that shows it.

    Programs send by SMTP, to any address and with any login, and fetch by POP3. Mail is never
    sent on.
    """
    places = DevPorts(host, **ports)
    page_password = _page_password(page_file, host)
    mail_password = _read_password(mail_file, MAIL_VARIABLE, "Password of all mailboxes")
    with contextlib.ExitStack() as stack:
        folder = keep.absolute() if keep else None
        options = _options(places, folder, faults, mail_password)
        server = stack.enter_context(_serving(options, folder, demo=demo))
        url, addresses = stack.enter_context(_page(places, server, page_password))
        stop = stack.enter_context(_stop_signals())
        accepted = "the password of --password" if mail_password else "any password"
        click.echo(
            f"{url}  POP3 {addresses.pop3}  POP3S {addresses.pop3s}  SMTP {addresses.smtp}  "
            f"(any address, {accepted}; Ctrl-C stops)"
        )
        if demo:
            _show_demo(places, addresses)
        stop.get()


def _read_password(file: str | None, variable: str, question: str) -> Secret | None:
    """Return a password from a file, the variable or the terminal. Raises UsageError."""
    from restante.protocol.secret import Secret

    text = os.environ.get(variable, "")
    if file == "-":
        advice = "Write the password into a file, and name the file in place of -."
        text = ask(question, advice, hide_input=True, confirmation_prompt=True)
    elif file is not None:
        text = read_password_file(Path(file))
        if not text:
            raise click.UsageError(f"the first line of {file} is empty; write the password there")
    try:
        return Secret(text.encode()) if text else None
    except UnicodeEncodeError:
        raise click.UsageError(f"the password of {variable} is not UTF-8") from None


def _page_password(file: str | None, host: str) -> Secret | None:
    """Return the password of the page, if it has one. Raises click.UsageError."""
    from restante.net.addresses import is_loopback

    if not host.strip():
        raise click.UsageError("--host is empty; give an IP address of this machine")
    password = _read_password(file, PAGE_VARIABLE, "Password for the page")
    if password is None and not is_loopback(host):
        raise click.UsageError(
            f"other machines can reach {host}, so the page requires a password; give "
            f"--web-password FILE, or set {PAGE_VARIABLE}"
        )
    return password


def _options(
    places: DevPorts, keep: Path | None, faults: Sequence[str], password: Secret | None
) -> DeveloperOptions:
    """Return what the servers of POP3 and SMTP are to be. Raises click.ClickException."""
    from restante.client.mechanisms import CLEARTEXT
    from restante.developer.server import DeveloperOptions
    from restante.net.addresses import is_loopback
    from restante.protocol.server.sasl import SERVER_MECHANISMS
    from restante.protocol.server.settings import AuthOffer, ProtocolSettings
    from restante.server.log.loggers import INCIDENTS

    every = frozenset(SERVER_MECHANISMS) - {"EXTERNAL"}
    any_secret = frozenset(CLEARTEXT)  # the server sees the password, so it may accept any
    return DeveloperOptions(
        host=places.host,
        port=places.pop3,
        tls_port=places.pop3s,
        smtp_port=places.smtp,
        smtps_port=None,
        tls=True,
        certificate=_certificate(keep) if keep else None,
        keep=keep / "mail" if keep else None,
        faults=faults,
        any_account=True,
        shared_password=password,
        clear_text="loopback" if is_loopback(places.host) else "always",
        settings=ProtocolSettings(
            login_timeout=HAND_TYPED,
            authorization_timeout=HAND_TYPED,
            apop=password is not None,
        ),
        offer=AuthOffer(mechanisms=every if password else any_secret),
        log=INCIDENTS,  # the page shows all else
    )


@contextlib.contextmanager
def _serving(
    options: DeveloperOptions, keep: Path | None, *, demo: bool
) -> Iterator[DeveloperServer]:
    """Give the servers of POP3 and SMTP while the block runs. Raises click.ClickException."""
    from restante.developer.server import DeveloperServer
    from restante.server.listener import ListenError
    from restante.storage.errors import FullError

    try:
        server = DeveloperServer(options)
    except ValueError as error:
        raise click.UsageError(f"--fault: {error}") from None
    if demo:
        _add_demo(server, keep)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(server)
        except ListenError as error:
            hint = "--port, --tls-port and --smtp-port choose other ports"
            raise click.ClickException(f"{error}; {hint}") from None
        except BlockingIOError:
            raise click.ClickException(f"another `pop3 dev` keeps its mail in {keep}") from None
        except OSError as error:
            raise click.ClickException(f"cannot keep mail: {describe(error, keep or '')}") from None
        except FullError as error:
            text = f"cannot keep mail in {keep}: {error}; move some of it away"
            raise click.ClickException(text) from None
        yield server


def _certificate(folder: Path) -> CertificateFiles:
    """Return the certificate in a folder, made when missing. Raises click.ClickException."""
    from restante.server import demo
    from restante.server.tls.certificate_files import CertificateFiles

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return CertificateFiles(*demo.ensure_certificate(folder))
    except OSError as error:
        raise click.ClickException(
            f"cannot create a certificate: {describe(error, folder)}"
        ) from None


def _add_demo(server: DeveloperServer, keep: Path | None) -> None:
    """Add the demo account, and those of its messages that are missing."""
    from restante.server import demo

    server.accounts.add(demo.ACCOUNT, demo.PASSWORD.decode())
    if keep:
        try:
            demo.ensure_mailbox(keep)
        except OSError as error:
            raise click.ClickException(f"cannot create the demo: {describe(error, keep)}") from None
        return
    for message in demo.DEMO_MESSAGES:
        uid = f"{message.delivered}.{message.queue_id}.demo,W={message.octets}"
        server.mailboxes.add(demo.ACCOUNT, demo.render(message), uid=uid)


@contextlib.contextmanager
def _page(
    places: DevPorts, server: DeveloperServer, password: Secret | None
) -> Iterator[tuple[str, ServerAddresses]]:
    """Serve the page while the block runs, and give its URL. Raises click.ClickException."""
    from restante.net.addresses import format_host_port
    from restante.server.config.addresses import ListenAddress

    try:
        from restante.web import listener
        from restante.web.page import ServerAddresses
        from restante.web.security import Guard
    except ImportError as error:
        raise click.ClickException(
            f"the page requires more packages ({error}): pip install 'restante[web]'"
        ) from None
    try:
        opened = listener.open_port(ListenAddress(places.host, places.web))
    except OSError as error:
        place = format_host_port(places.host, places.web)
        raise click.ClickException(
            f"cannot listen for the page at {place}: {explain(error)}; "
            "--web-port chooses another port"
        ) from None
    pop3, pop3s, smtp = (
        format_host_port(places.host, port or 0)
        for port in (server.port, server.tls_port, server.smtp_port)
    )
    addresses = ServerAddresses(pop3, pop3s, smtp, str(server.authority or ""))
    url = f"http://{format_host_port(places.host, opened.getsockname()[1])}/"
    with listener.serving(server, addresses, Guard(password=password), opened):
        yield url, addresses


def _stop_signals() -> EventQueue[int]:
    """Return a queue that gets each Ctrl-C and SIGTERM."""
    stop: EventQueue[int] = EventQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stop.put(number))
    return stop


def _show_demo(places: DevPorts, addresses: ServerAddresses) -> None:
    from restante.server import demo

    port = addresses.pop3.rpartition(":")[2]
    file = shlex.quote(addresses.certificate)
    click.echo(
        f"""
The account {demo.ACCOUNT} has five messages. Open the page above, and type in another terminal:

    telnet {places.host} {port}
    USER {demo.ACCOUNT}
    PASS {demo.PASSWORD.decode()}
    LIST
    TOP 1
    QUIT

The page shows the conversation while you type. With TLS:

    openssl s_client -quiet -connect {addresses.pop3s} -CAfile {file}
"""
    )
