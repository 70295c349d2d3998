"""The exact commands to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.client.options import PORTS, Target
from restante.net.addresses import format_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.client.options import Tls
    from restante.diagnosis.request import CheckRequest


def check_command(  # noqa: PLR0913  # what may be other than it was asked
    request: CheckRequest,
    host: str = "",
    port: int = 0,
    *,
    tls: Tls | None = None,
    server_name: str = "",
    flags: tuple[str, ...] = (),
) -> str:
    """Return a command like the one that asked, with what is to be another."""
    import shlex

    target = request.target or Target("", 0, "implicit", request.account)
    tls = tls or target.tls
    tls = "starttls" if tls == "none" else tls
    suggested = Target(host or target.host, port or target.port or PORTS[tls], tls, target.user)
    verb = "probe" if request.password is None else "check"
    options = _options(request, suggested, server_name)
    return shlex.join(["pop3", verb, _url(suggested), *options, *request.flags, *flags])


def _url(target: Target) -> str:
    scheme = "pop3s" if target.tls == "implicit" else "pop3"
    user = target.user.replace("%", "%25") + "@" if target.user else ""
    port = "" if target.port == PORTS[target.tls] else f":{target.port}"
    return f"{scheme}://{user}{format_host(target.host)}{port}"


def _options(request: CheckRequest, suggested: Target, server_name: str) -> Iterator[str]:
    """Yield the options of the command that asked, as far as they hold for another server too."""
    options, target = request.options, request.target
    name = server_name or options.server_name
    if name:
        yield from ("--servername", name)
    moved = options.resolve.get((target.host.lower(), target.port)) if target else None
    if moved:
        yield from ("--resolve", f"{suggested.host}:{suggested.port}:{format_host(moved)}")
    if options.family:
        yield f"-{options.family}"
    if options.insecure_plaintext and suggested.tls != "implicit":
        yield "--insecure-plaintext"
    if options.token and request.password is not None:
        yield "--oauth"
    if options.mechanisms and request.password is not None:
        yield from ("--mechanism", options.mechanisms[0])
    if request.deep:
        yield "--deep"
