"""A rejected login is reported by its cause: the server's words before its codes and silence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from restante.client.options import Target
from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine
from restante.diagnosis.steps import login
from support.authority import GOOD, trusting
from support.check_request import (
    FALLS_SILENT,
    OPTIONS,
    SHORT,
    Faults,
    ask,
    faults,
    server_of,
    times_for,
)
from support.faulty_server import PASSWORD


def PASS(text: str) -> str:  # noqa: N802
    return f"PASS: -ERR {text}"


def OFFERING(mechanisms: str) -> str:  # noqa: N802
    return f"CAPA: without USER\nCAPA: without SASL PLAIN\nCAPA: with SASL {mechanisms}\nUSER: -ERR unknown"


def UNSUPPORTED(mechanisms: str) -> str:  # noqa: N802
    capa = f"CAPA: without SASL PLAIN\nCAPA: with SASL {mechanisms}"
    return f"{capa}\nPASS: -ERR [AUTH] Unsupported authentication mechanism."


FIVE_REASONS = (
    "Account is abnormal, service is not open, password is incorrect, login frequency limited, or "
    "system is busy."
)
PLAIN_ONLY = "CAPA: without USER\nCAPA: with SASL PLAIN"
NOT_ENABLED = "Your account is not enabled for POP access. Please visit your Gmail settings page."
SEEMS_EMPTY = "Due to a temporary system problem, this mailbox will seem empty."

LOGINS = faults(
    ("auth-failed", "with the code", "login-refused", "wrong"),
    ("auth-failed", "without a code", PASS("invalid login"), "invalid login"),
    ("auth-failed", "with a code of its own", PASS("[X-LOGIN] user name and password not accepted"), "not accepted"),
    ("auth-failed", "an unknown account", PASS("this account does not exist"), "not exist"),
    ("auth-refused", "in German", PASS("Das Postfach ist gesperrt"), "gesperrt"),
    ("auth-refused", "in French", PASS("Identifiants incorrects"), "Identifiants"),
    ("auth-refused", "in Spanish", PASS("El servicio est\u00e1 en mantenimiento"), "mantenimiento"),
    ("auth-refused", "in Russian", PASS("\u0434\u043e\u0441\u0442\u0443\u043f \u0437\u0430\u043a\u0440\u044b\u0442"), "\u0437\u0430"),
    ("auth-refused", "in Japanese", PASS("\u8a8d\u8a3c\u306b\u5931\u6557"), "\u8a8d\u8a3c"),
    ("auth-refused", "without a reason", PASS("Unable to log on"), "Unable to log on"),
    ("auth-apppw", "as Google says it", "login-app-password", "Application"),
    ("auth-apppw", "as Yahoo says it", PASS("[AUTH] You need to use an app password"), "app password"),
    ("auth-oauth", "as Microsoft says it", "login-token-only", "Logon failure"),
    ("auth-pop-disabled", "as Google says it", "login-pop-disabled", "POP access"),
    ("auth-pop-disabled", "by text alone", PASS("POP3 access is disabled for this user"), "disabled"),
    ("auth-pop-disabled", "not activated", PASS("POP3 service is not activated for your account"), "activated"),
    ("auth-pop-disabled", "to be enabled", PASS("[AUTH] POP3/IMAP access must be enabled in settings"), "settings"),
    ("auth-pop-disabled", "not in a plan", PASS("POP3 is not available in your plan"), "plan"),
    ("auth-refused", "one of two reasons, POP", PASS("[AUTH] Invalid password, or POP access is disabled"), "or POP"),
    ("auth-refused", "as Yandex says it", PASS("[AUTH] login failure or POP3 disabled, try later. sc=abc"), "or POP3"),
    ("auth-refused", "is off, perhaps", PASS("[AUTH] Invalid user or password or pop3 is off"), "is off"),
    ("auth-refused", "as QQ says it", PASS(f"Login fail. {FIVE_REASONS}"), "service is not open"),
    ("auth-apppw", "as QQ says it", PASS("Please using authorized code to login."), "authorized code"),
    ("auth-failed", "a user", PASS("User not exist"), "not exist"),
    ("auth-pop-disabled", "at STAT, as Google says it", f"STAT: -ERR [SYS/PERM] {NOT_ENABLED}", "POP access"),
    ("auth-locked", "at LIST", "LIST: -ERR [SYS/PERM] This account has been suspended", "suspended"),
    ("locked", "at STAT, by text alone", "STAT: -ERR maildrop is locked by another session", "locked"),
    ("sys-temp", "at STAT, by text alone", "STAT: -ERR internal error, try again later", "internal"),
    ("auth-temp", "+OK with a code of failure", f"PASS: +OK [SYS/TEMP] {SEEMS_EMPTY}", "seem empty"),
    ("auth-temp", "AUTH +OK with a code of failure", (PLAIN_ONLY, "response: +OK [SYS/TEMP] later"), "later"),
    ("sys-temp", "+OK with a code of failure", f"STAT: +OK [SYS/TEMP] {SEEMS_EMPTY}", "seem empty"),
    ("auth-temp", "maintenance of POP", PASS("POP3 maintenance: access is disabled, try later"), "maintenance"),
    ("auth-temp", "a directory", PASS("LDAP server down"), "LDAP"),
    ("auth-temp", "no memory", PASS("Maildir: Cannot allocate memory"), "memory"),
    ("auth-temp", "not available", PASS("Service not available, closing transmission channel"), "closing"),
    ("auth-apppw", "as Apple says it", PASS("[AUTH] You must use a device-specific password"), "device"),
    ("auth-toomany", "a limit", PASS("Login attempt limit exceeded, try again in 15 minutes"), "15 min"),
    ("auth-toomany", "as Google says it", PASS("[AUTH] Account exceeded command or bandwidth limits. (Failure)"), "bandwidth"),
    ("auth-locked", "a deleted account", PASS("This account has been deleted"), "deleted"),
    ("auth-temp", "by the code", "login-temp", "internal error"),
    ("sys-perm", "by the code", "login-perm", "mailbox corrupt"),
    ("auth-temp", "by text alone", PASS("Temporary authentication failure, internal error"), "internal error"),
    ("auth-noreply", "silent", ("login-silent", FALLS_SILENT), "sent nothing"),
    ("auth-noreply", "closed", "login-closed", "closed"),
    ("auth-noreply", "closed at USER", "user-closed", "closed"),
    ("auth-noreply", "reset", "login-reset", "connection"),
    ("auth-plain-refused", "USER refused", "USER: -ERR use TLS", "use TLS"),
    ("auth-plain-refused", "with the code", "login-tls-required", "Plaintext"),
    ("auth-unproven", "a false proof", "scram-wrong-signature", "did not prove"),
    ("locked", "by the code", "login-in-use", "locked"),
    ("locked", "by text alone", PASS("maildrop already locked"), "locked"),
    ("auth-temp", "too many connections", PASS("Too many connections from your address"), "Too many"),
    ("auth-temp", "a server's own trouble", PASS("chdir Maildir failed"), "chdir"),
    ("auth-locked", "an account that is locked", "login-locked-out", "account"),
    ("auth-locked", "whatever the code", PASS("[AUTH] Account locked due to too many failed logins"), "too many failed"),
    ("auth-expired", "whatever the code", PASS("[AUTH] password expired, change it at https://x.example"), "https://x.example"),
    ("auth-refused", "one of two reasons", PASS("[AUTH] Wrong password, or the account is locked"), "or the"),
    ("auth-failed", "with a way out", PASS("[AUTH] Invalid password. Reset your password at https://x.example"), "Reset"),
    ("auth-expired", "in other words", PASS("[AUTH] You must change your password first"), "must"),
    ("auth-toomany", "without a code", "login-too-many", "try later"),
    ("auth-toomany", "with a code", PASS("[AUTH] too many failed attempts"), "too many"),
    ("locked", "by an account's session", PASS("Account mailbox is locked by another session"), "locked"),
    ("locked", "as qpopper says it", PASS("/var/mail/.ann.pop lock busy! Is another session active?"), "busy"),
    ("auth-locked", "a closed mailbox", PASS("This mailbox has been disabled. Contact your administrator"), "disabled"),
    ("auth-locked", "a new account", PASS("account not activated yet"), "not activated"),
    ("auth-temp", "a full mailbox", PASS("Mailbox is full"), "full"),
    ("auth-temp", "maintenance", PASS("Server is under maintenance, come back at 18:00"), "18:00"),
    ("auth-temp", "a licence", PASS("Maximum user count exceeded (license)"), "license"),
    ("auth-place", "a country", PASS("Access from your country is blocked"), "country"),
    ("auth-place", "a network", PASS("[AUTH] Login from this network is not allowed"), "network"),
    ("tls-client-cert", "as Dovecot says it", PASS("[AUTH] Client didn't present valid SSL certificate"), "certificate"),
    ("auth-locked", "as Dovecot says it", PASS("[AUTH] Login disabled for this user"), "disabled"),
    ("auth-oauth", "nothing but tokens", OFFERING("XOAUTH2 OAUTHBEARER"), "unknown"),
    ("auth-oauth", "USER listed in vain", UNSUPPORTED("XOAUTH2"), "Unsupported"),
    ("auth-nomech", "USER listed in vain", UNSUPPORTED("GSSAPI"), "Unsupported"),
    ("auth-nomech", "nothing for passwords", OFFERING("GSSAPI EXTERNAL"), "unknown"),
    ("login-delay", "by the code", "login-delay", "too soon"),
    ("login-delay", "by text alone", PASS("login too soon; minimum login interval is 5 minutes"), "too soon"),
)  # fmt: skip


@LOGINS
def test_a_refused_login_is_told_by_its_cause(name: str, server: Faults, said: str) -> None:
    """A rejected login has the verdict of its cause."""
    with server_of(server) as running:
        report = ask(running.port, options=times_for(server))
    assert report.id == name
    assert report.failure is not None
    assert said in report.failure.evidence
    assert "DELE" not in str(running.commands)


def test_silence_after_a_response_of_auth() -> None:
    """A server that falls silent after a response of AUTH sent nothing, whatever came before it."""
    with server_of((PLAIN_ONLY, "response: silence")) as running:
        report = ask(running.port, options={"reply_seconds": SHORT})
    assert report.failure is not None
    assert (report.id, report.failure.evidence) == (
        "auth-noreply",
        f"the server sent nothing for {SHORT} seconds",
    )


def test_a_refusal_by_its_code_alone() -> None:
    """A response code without a text is shown as it is."""
    with server_of("PASS: -ERR [IN-USE]") as running:
        report = ask(running.port)
    assert report.failure is not None
    assert report.failure.evidence == "[IN-USE]"


def test_clear_text_that_is_refused_within_tls() -> None:
    """A server behind a proxy that ends TLS rejects passwords, whatever the password is."""
    with server_of("login-tls-required", tls=GOOD.serving()) as running:
        target = Target("localhost", running.tls_port or 0, "implicit", "ann")
        options = replace(OPTIONS, context=trusting())
        report = examine(CheckRequest("ann", target, options, password=lambda: PASSWORD))
    assert (report.id, report.exit_code) == ("auth-plain-refused", 10)
    [note] = [text for label, text in report.steps[-1].details if label == "note"]
    assert "but the server does not know of it" in note


@pytest.mark.parametrize(
    ("mechanism", "capabilities", "name", "code"),
    [
        ("XOAUTH2", "", "auth-mechanism", 10),
        ("CRAM-MD5", "CAPA: without SASL PLAIN", "auth-mechanism", 10),
        ("CRAM-MD5", "CAPA: with SASL CRAM-MD5", "refused", 6),
        ("CRAM-MD5", "CAPA: -ERR what?", "refused", 6),
    ],
)
def test_a_requested_mechanism_that_is_not_offered(
    mechanism: str, capabilities: str, name: str, code: int
) -> None:
    """A mechanism that the user chose, and that CAPA does not list, has a verdict of its own."""
    rules = f"{capabilities}\nAUTH: -ERR no such thing".strip()
    with server_of(rules) as running:
        target = Target("127.0.0.1", running.port, "starttls", "ann")
        options = replace(OPTIONS, mechanisms=(mechanism,))
        report = examine(CheckRequest("ann", target, options, password=lambda: PASSWORD))
    assert (report.id, report.exit_code) == (name, code)


@pytest.mark.parametrize("user", ["", "ann\r\nDELE 1"])
def test_a_name_that_cannot_be_sent_is_not_called_wrong(user: str) -> None:
    """A name that cannot be sent has its own verdict, and no login is tried."""
    with server_of(()) as running:
        target = Target("127.0.0.1", running.port, "starttls", user)
        report = examine(CheckRequest("ann", target, OPTIONS, password=lambda: PASSWORD))
    assert (report.id, report.exit_code) == ("auth-unsent", 7)
    assert running.commands == ["CAPA"]
    assert report.failure is not None
    assert "said" not in report.failure.facts  # the server said nothing


@pytest.mark.parametrize(
    ("user", "password", "said"),
    [
        ("ann@example.com", "secret", "the part before the"),
        ("Ann@example.com", "secret", "capital letters"),
        ("ann@m\u00fcller.example", "secret", "ann@xn--mller-kva.example"),
        (
            "ann@xn--mller-kva.example",
            "secret",
            "as it is read: xn--mller-kva.example (m\u00fcller",
        ),
        ("j\u00fcrgen@example.com", "secret", "the name has letters beyond ASCII"),
        ("j\u00fcrgen", "secret", "the name has letters beyond ASCII"),
        ("ann ", "secret", "ends with a space"),
        ("ann", "s\u00e9cret", "beyond ASCII"),
        ("ann", "\ufeffsecret", "invisible"),
    ],
)
def test_hints(user: str, password: str, said: str) -> None:
    """A refused login has hints on what can be wrong with the name and the password."""
    found = login.hints(user, password)
    assert any(said in hint for hint in found)
    assert not any(password in hint for hint in found)


def test_a_mechanism_that_is_listed_and_unknown() -> None:
    """Dovecot lists USER and rejects it with [AUTH] if it has no PLAIN; the next one is tried."""
    with server_of(UNSUPPORTED("CRAM-MD5")) as running:
        ask(running.port)
    assert "AUTH CRAM-MD5" in running.commands
