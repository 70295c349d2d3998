"""`pop3 login`."""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed, error_reporting
from restante.cli.options.account import (
    AccountCommand,
    account_options_without,
    fill_options,
    parse_account,
)
from restante.cli.options.account_file import configuration_folder, find_entry, place_of
from restante.cli.program import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restante.cli.options.account import AccountArgs
    from restante.client.options import Options, Target
    from restante.oauth.client import SignInClient
    from restante.oauth.discovery import Issuer
    from restante.oauth.errors import OAuthError
    from restante.oauth.providers import Provider
    from restante.oauth.registration import Registrations
    from restante.oauth.settings import OAuthSettings
    from restante.oauth.sign_in import SignIn
    from restante.oauth.token_store import TokenStore
    from restante.protocol.secret import Secret

FLOWS = ("loopback", "device", "paste", "client-credentials")


@click.command(cls=AccountCommand)
@click.argument("account")
@click.option("--flow", type=click.Choice(FLOWS), help="Sign in this way, and in no other.")
@click.option(
    "--paste", is_flag=True, help="Sign in by an address that you paste, as --flow paste does."
)
@click.option(
    "--port",
    "callback_port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Wait for the browser at this port, which ssh -L can forward.",
)
@click.option("--show", is_flag=True, help="Show what a sign-in would use, and do not sign in.")
@account_options_without("port", "oauth", "mechanism")
def login(
    account: str,
    *,
    flow: str | None,
    paste: bool,
    callback_port: int | None,
    show: bool,
    **params: Any,
) -> None:
    """Sign in to an account's provider, and keep the tokens.

    Every other command then logs in with them. The provider's page asks for the password; this
    command never does.
    """
    seconds = params["max_time"]
    if paste and flow not in (None, "paste"):
        raise click.UsageError("--paste and --flow exclude each other; use one")
    flow = "paste" if paste else flow
    if callback_port is not None and flow not in (None, "loopback"):
        raise click.UsageError(f"--port is for the flow loopback; omit it with {flow}")
    plan = _plan(account, params, flow)
    with error_reporting():
        with _limit_time(seconds, plan.made.options):
            plan.find_issuer()
            if show:
                plan.show(callback_port)
                return
            if plan.made.verbose:
                plan.show_unusable()
            sign_in = plan.sign_in(callback_port)
        plan.keep(sign_in)
        plan.check(sign_in)


@contextlib.contextmanager
def _limit_time(seconds: float | None, options: Options) -> Iterator[None]:
    """Raise ReplyTimeoutError when the time of the user is over, whatever the block waits for.

    The user at the browser has no deadline of a socket, so a signal ends the wait.
    """
    from restante.client.options import time_over_text
    from restante.protocol.errors import Phase, ReplyTimeoutError

    def stop(*_: object) -> None:
        text = f"{time_over_text(options)}; nothing was kept"
        raise ReplyTimeoutError("out-of-time", text, phase=Phase.LOGIN)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(slots=True)
class _LoginPlan:
    """A sign-in for one account, step by step."""

    typed: str
    made: AccountArgs
    settings: OAuthSettings
    providers: Mapping[str, Provider]
    target: Target
    issuer: Issuer | None = None

    def find_issuer(self) -> None:
        """Find the issuer, and print it."""
        from restante.cli.output.sign_in import show_issuer
        from restante.oauth.discovery import find_issuer
        from restante.oauth.server_sources import NetworkServerSources

        sources = NetworkServerSources(self.target, self.made.options)
        self.issuer = find_issuer(self.target.host, self.settings, self.providers, sources)
        show_issuer(self.issuer, self.target)

    def show_unusable(self) -> None:
        """Print which endpoints of the issuer are not used."""
        from restante.cli.output.sign_in import show_unusable

        assert self.issuer is not None
        show_unusable(self.issuer)

    def choose_client(self) -> SignInClient:
        """Return the client. Raises CommandFailed: there is none; it says how to get one."""
        from restante.cli.output.sign_in import registration_steps, show_client
        from restante.oauth.client import NoClientError, choose_client

        assert self.issuer is not None
        registrations = self._registrations()
        hint = self.settings.login_as or self.target.user
        try:
            client = choose_client(self.issuer, self.settings, registrations, _run_command, hint)
        except NoClientError as error:
            from restante.diagnosis.explanations import explain
            from restante.oauth.providers import FILE

            steps = registration_steps(error, self.typed, configuration_folder() / FILE)
            raise CommandFailed(steps, explain(error.id).exit) from None
        show_client(client)
        return client

    def show(self, port: int | None) -> None:
        """Print all that a sign-in would use."""
        from restante.cli.output.sign_in import show_details

        assert self.issuer is not None
        has_client = self.settings.client_id or not self.issuer.server.registration
        client = self.choose_client() if has_client else None
        show_details(self.issuer, client, self.settings.flow, port)

    def sign_in(self, port: int | None) -> SignIn:
        """Let the user sign in, by the flow that was chosen or by the best one."""
        from restante.cli.output.sign_in import TerminalPerson
        from restante.oauth.errors import OAuthError
        from restante.oauth.flows import run
        from restante.oauth.token_names import name_of

        client = self.choose_client()
        with self._store().edit(name_of(self.typed)) as entry:
            entry.check_save()
        person = TerminalPerson(port)
        flow = self.settings.flow
        flows = [flow] if flow else run.flow_order(client.flows, browser=person.browser, port=port)
        try:
            return run.sign_in(client, flows, person, port or 0)
        except OAuthError as error:
            error.remedy = error.remedy or self._remedy(error, client)
            raise
        except BaseException as error:  # Ctrl-C, or the time is over: no answer came
            advice = self._forget_registration(client)
            if not isinstance(error, KeyboardInterrupt):
                raise
            text = f"Interrupted; nothing was kept. {advice}".rstrip()
            raise CommandFailed(text, INTERRUPTED) from None

    def _remedy(self, error: OAuthError, client: SignInClient) -> str:
        """Return what the user can do after a refusal, if more is known than its verdict."""
        row = self.providers.get(client.provider)
        if error.id == "oauth-consent" and row is not None and row.admin_consent:
            tenant = self.settings.tenant or "organizations"
            fields = {"tenant": tenant, "client_id": client.endpoint.client_id}
            return f"Ask your administrator to open {row.admin_consent.format(**fields)}"
        if error.id in ("oauth-client", "oauth-code"):
            return self._forget_registration(client)
        return ""

    def _forget_registration(self, client: SignInClient) -> str:
        """Forget a client that the issuer may no longer know. Return what to do, "" for nothing.

        About an unknown client an issuer informs the user, and sends no answer: RFC 6749 section
        4.1.2.1.
        """
        from restante.oauth.client import REGISTERED

        if client.origin != REGISTERED:
            return ""
        self._registrations().forget(client.server.issuer)
        return (
            "The registration is forgotten. Run the command again, to register anew, and with "
            "--paste if the issuer rejects the redirect URI."
        )

    def _registrations(self) -> Registrations:
        from restante.oauth.registration import Registrations
        from restante.oauth.token_names import default_folder

        return Registrations(default_folder().with_name("clients"))

    def _store(self) -> TokenStore:
        from restante.oauth.token_store import TokenStore

        return TokenStore(key_command=self.settings.key_command)

    def keep(self, sign_in: SignIn) -> None:
        """Store the tokens, and print the place."""
        from restante.cli.output.sign_in import describe_seconds, notes_on, show_row
        from restante.oauth.token_names import name_of

        now = time.time()
        place = self._store().save(name_of(self.typed), sign_in, self.target.host, now)
        user = f"signed in as {sign_in.user}" if sign_in.user else "signed in"
        ends = sign_in.tokens.expires_at
        life = f"; access token for {describe_seconds(ends - now)}" if ends else ""
        show_row("ok", f"{user}; kept in {place}{life}")
        for note in notes_on(sign_in):
            show_row("note", note)

    def check(self, sign_in: SignIn) -> None:
        """Log in to the mail server with the new token, and print whether it works."""
        from restante.cli.output.check_report import show_verdict
        from restante.cli.output.sign_in import show_row
        from restante.diagnosis.run import examine
        from restante.diagnosis.wording import messages

        if "pop" not in self.settings.protocols:
            show_row("check", "not tried: the tokens are not for POP")
            return
        request = self.made.request()
        request.options = replace(request.options, token=True)
        request.target = self.target
        request.password = sign_in.tokens.access.reveal().decode
        report = examine(request)
        if report.ok:
            count = report.facts["mailbox"]["messages"]
            show_row("check", f"login ok, {messages(count)}")
        else:
            show_verdict(report, login=True, silent=True)
        click.get_current_context().exit(0 if report.ok else report.exit_code)


def _plan(account: str, params: dict[str, Any], flow: str | None) -> _LoginPlan:
    """Return what the command line and the files of the user say. Raises click.UsageError."""
    from restante.diagnosis.request import TOTAL
    from restante.oauth.discovery import require_provider
    from restante.oauth.providers import load_providers
    from restante.oauth.settings import read_settings

    fill_options(params)
    entry = find_entry(account)
    table = entry.get("oauth", {})
    try:
        providers = load_providers(configuration_folder())
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        if not isinstance(table, dict):
            raise ValueError("oauth: expected a table, such as { provider = ... }")  # noqa: TRY004, TRY301  # a mistake in a file
        settings = read_settings({**table, **({"flow": flow} if flow else {})})
        require_provider(settings, providers)
    except ValueError as error:
        place = place_of(account, "oauth")
        raise click.UsageError(f"{place}: [{account}]: {error}") from None
    made = parse_account(account, params, TOTAL)
    target = made.target or _by_domain(made, providers) or made.locate()
    return _LoginPlan(account, made, settings, providers, target)


def _by_domain(made: AccountArgs, providers: Mapping[str, Provider]) -> Target | None:
    """Return the server of an address at one of the providers, without a look-up."""
    from restante.client.options import Target
    from restante.net.addresses import parse_host_port
    from restante.oauth.providers import find_by_domain

    name = find_by_domain(providers, made.name.rpartition("@")[2].lower())
    if not name or not providers[name].pop:
        return None
    host, port = parse_host_port(providers[name].pop)
    return Target(host, port, "implicit", made.name)


def _run_command(command: str) -> Secret:
    from restante.oauth.secret_command import run_client_secret_command

    return run_client_secret_command(command)
