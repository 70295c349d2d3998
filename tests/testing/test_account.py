"""The server as the author of a program that fetches mail needs it."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import poplib
import re
import ssl
import threading
from email.message import EmailMessage
from pathlib import Path

import pytest

from restante import Options, Pop3Error, ServerRefusedError, blocking, testing

LETTER = "Subject: one\n\nhello\n"


def log_in(account: testing.MemoryAccount) -> poplib.POP3:
    client = poplib.POP3(account.host, account.port, timeout=20)
    try:
        client.user(account.user)
        client.pass_(account.password)
    except poplib.error_proto:
        client.close()
        raise
    return client


def letter() -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "one"
    message.set_content("hello\n")
    return message


@pytest.mark.parametrize("form", ["str", "bytes", "EmailMessage", "path"])
def test_forms_of_a_message(form: str, tmp_path: Path) -> None:
    """A message may be text, octets, an EmailMessage or the path of a file."""
    file = tmp_path / "one.eml"
    file.write_text(LETTER)
    forms = {"str": LETTER, "bytes": LETTER.encode(), "EmailMessage": letter(), "path": file}
    with testing.serving() as server:
        server.add("ann", "secret", forms[form])  # type: ignore[arg-type]
        url = f"pop3://ann@{server.host}:{server.port}"
        with blocking.connect(url, password="secret", insecure_plaintext=True) as box:
            assert b"Subject: one" in box[1].read()


def test_no_message() -> None:
    """A value that is not a message is a TypeError at once."""
    with testing.serving() as server:
        account = server.account()
        for wrong in (None, 1, [b"a"]):
            with pytest.raises(TypeError, match="a message is str, bytes, an EmailMessage or"):
                account.deliver(wrong)  # type: ignore[arg-type]


def test_messages_while_logged_in() -> None:
    """The messages can be read at once while a session holds the maildrop."""
    with testing.serving() as server:
        account = server.account()
        account.deliver(LETTER)
        client = log_in(account)
        assert [mail["subject"] for mail in account.messages] == ["one"]
        assert server.messages("ann") == [LETTER.encode()]
        client.quit()


def test_removed_messages() -> None:
    """A message that a session has removed is in `removed`."""
    with testing.serving() as server:
        account = server.account()
        account.deliver(LETTER)
        client = log_in(account)
        client.dele(1)
        assert account.removed == []
        client.quit()
        assert account.messages == []
        assert account.removed[0]["subject"] == "one"


def test_commands_of_a_session() -> None:
    """The commands of each session are known, without names and secrets."""
    with testing.serving() as server:
        account = server.account("ann@example.com")
        account.deliver(LETTER)
        client = log_in(account)
        client.stat()
        client.retr(1)
        client.dele(1)
        client.quit()
        commands = ["USER", "PASS", "STAT", "RETR 1", "DELE 1", "QUIT"]
        assert account.sessions[-1].commands == commands
        assert account.password not in server.transcript


def test_a_refused_login_is_a_session_of_the_account() -> None:
    """A login with a wrong password is among the sessions of the account."""
    with testing.serving() as server:
        account = server.account()
        server.account("ann", "other")
        with pytest.raises(poplib.error_proto, match="AUTH"):
            log_in(account)
        assert account.sessions[-1].commands == ["USER", "PASS"]


def test_the_log_right_after_quit() -> None:
    """The log has the line of a session as soon as QUIT is answered."""
    with testing.serving() as server:
        account = server.account()
        account.deliver(LETTER)
        client = log_in(account)
        client.retr(1)
        client.quit()
        assert "retrieved=1" in server.log


def test_a_maildrop_in_use_without_patience() -> None:
    """Without patience, a second login gets IN-USE at once."""
    with testing.serving(lock_patience=0) as server:
        account = server.account()
        client = log_in(account)
        with pytest.raises(poplib.error_proto, match="IN-USE"):
            log_in(account)
        client.quit()


def test_chosen_unique_id() -> None:
    """A test may choose the unique-id, but none twice and none that is not valid."""
    with testing.serving() as server:
        account = server.account()
        assert account.deliver(LETTER, uid="first") == "first"
        for wrong in ("first", "two words", ""):
            with pytest.raises(ValueError, match="unique-id"):
                account.deliver(LETTER, uid=wrong)
        client = log_in(account)
        assert client.uidl()[1] == [b"1 first"]
        client.quit()


def test_apop() -> None:
    """APOP works with the right digest."""
    with testing.serving(offer=["APOP"]) as server:
        account = server.account()
        client = poplib.POP3(account.host, account.port, timeout=20)
        assert client.apop(account.user, account.password).startswith(b"+OK")
        stamp = re.search(rb"<.*>", client.getwelcome())
        assert stamp
        digest = hashlib.md5(stamp[0] + account.password.encode()).hexdigest()
        assert digest not in server.transcript
        assert "C APOP ann ***" in server.transcript
        client.quit()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "CRAM-MD5"])
def test_mechanisms(mechanism: str) -> None:
    """A mechanism that is offered works, and its responses are starred."""
    with testing.serving(offer=[mechanism]) as server:
        account = server.account()
        account.deliver(LETTER)
        clear = Options(mechanisms=(mechanism,), insecure_plaintext=True)
        with blocking.connect(account.url, account.password, options=clear) as box:
            assert len(box) == 1
        assert account.sessions[0].commands[1] == f"AUTH {mechanism}"
        assert "***" in server.transcript


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_tokens(mechanism: str) -> None:
    """An account accepts its token in TLS, and no other."""
    with testing.serving(tls=True, offer=[mechanism]) as server:
        account = server.account()
        context = ssl.create_default_context(cafile=server.certificate)
        options = Options(mechanisms=(mechanism,), token=True, context=context)
        with blocking.connect(account.url, account.token, options=options) as box:
            assert len(box) == 0
        server.account("ann", token="another")
        with (
            pytest.raises(ServerRefusedError),
            blocking.connect(account.url, account.token, options=options),
        ):
            pass
        assert account.token not in server.transcript


def test_token_without_a_user() -> None:
    """OAUTHBEARER without a user logs in as the owner of the token."""
    with testing.serving(tls=True, offer=["OAUTHBEARER"]) as server:
        server.account("bob").deliver(LETTER)
        account = server.account()
        client = poplib.POP3(account.host, account.port, timeout=20)
        client.stls(ssl.create_default_context(cafile=server.certificate))
        response = base64.b64encode(f"n,,\1auth=Bearer {account.token}\1\1".encode())
        client.sock.sendall(b"AUTH OAUTHBEARER %s\r\n" % response)
        assert client.file.readline().startswith(b"+OK")
        assert client.stat() == (0, 0)
        client.quit()
        assert account.sessions


def test_passwords_in_clear_text_can_be_refused() -> None:
    """A server with TLS may refuse passwords in clear text."""
    with testing.serving(tls=True, clear_text="never") as server:
        account = server.account()
        with pytest.raises(poplib.error_proto, match="No logins in clear text"):
            log_in(account)


def test_a_server_without_uidl() -> None:
    """A capability that is not there is neither listed nor known as a command."""
    with testing.serving(without=["uidl"]) as server:
        client = log_in(server.account())
        assert "UIDL" not in client.capa()
        assert "TOP" in client.capa()
        with pytest.raises(poplib.error_proto, match="Unknown command"):
            client.uidl()
        client.quit()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"without": ["UIDLE"]}, "unknown capability UIDLE"),
        ({"offer": ["NTLM"]}, "unknown mechanism NTLM"),
        ({"without": "UIDL"}, r"without is 'UIDL': write \['UIDL'\]"),
        ({"offer": "PLAIN"}, r"offer is 'PLAIN': write \['PLAIN'\]"),
        ({"fault": "retr-cutt"}, "did you mean retr-cut"),
    ],
)
def test_unknown_options(options: dict[str, str], error: str) -> None:
    """An unknown capability, mechanism or fault is an error with the known ones."""
    with pytest.raises(ValueError, match=error), testing.serving(**options):  # type: ignore[arg-type]
        pass


def test_a_fault_of_an_account() -> None:
    """An account may meet a fault until it ends."""
    with testing.serving() as server:
        account = server.account()
        account.deliver(LETTER)
        account.misbehave("retr-refused")
        client = log_in(account)
        with pytest.raises(poplib.error_proto):
            client.retr(1)
        client.quit()
        account.behave()
        client = log_in(account)
        client.retr(1)
        client.quit()
        assert [session.fault for session in account.sessions] == ["retr-refused", ""]


def test_a_fault_of_tls() -> None:
    """A fault of TLS can be on from the beginning."""
    with testing.serving(fault="tls-expired") as server:
        account = server.account()
        context = ssl.create_default_context(cafile=server.certificate)
        with pytest.raises(Pop3Error, match="expired"):
            blocking.connect(account.url, password="a", context=context)


def test_wait_is_woken() -> None:
    """`wait` returns as soon as another thread delivers."""
    with testing.serving() as server:
        account = server.account()
        later = threading.Timer(0.05, account.deliver, [LETTER])
        later.start()
        assert account.wait(subject="ONE", timeout=20)["subject"] == "one"
        later.join()
        account.clear()
        account.assert_none()


def test_wait_for_removal() -> None:
    """`wait_removed` returns once a session has removed a message, and else lists what came."""

    def fetch(account: testing.MemoryAccount) -> None:
        client = log_in(account)
        client.dele(1)
        client.quit()

    with testing.serving() as server:
        account = server.account()
        account.deliver(LETTER)
        with pytest.raises(testing.NoMailError, match="no message to ann was removed within 0"):
            account.wait_removed(timeout=0)
        later = threading.Timer(0.05, fetch, [account])
        later.start()
        assert account.wait_removed(subject="ONE", timeout=20)["subject"] == "one"
        later.join()


def test_lost_messages() -> None:
    """A removed message is lost unless a kept one has its header and its body, as it was served."""
    with testing.serving() as server:
        account = server.account()
        account.deliver("Subject: one\n\nhello\n")
        account.misbehave("retr-dot-first")
        client = log_in(account)
        whole = b"\r\n".join(client.retr(1)[1])
        client.dele(1)
        assert account.find_lost([]) == []
        client.quit()
        assert account.find_lost([whole, "Subject: two\n\n"]) == []
        assert len(account.find_lost([whole[:-2]])) == 1


def test_a_wait_without_an_end() -> None:
    """A test may wait as long as it takes."""
    with testing.serving() as server:
        ann = server.account("ann")
        waiting = threading.Timer(0.1, ann.deliver, ["Subject: late\n\n"])
        waiting.start()
        assert ann.wait(subject="late", timeout=math.inf)["subject"] == "late"
        waiting.join()


def test_the_end_of_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables are those of before, also if a program under test took one away."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    before = dict(os.environ)
    with testing.TrustedAuthority().set_trusted():
        del os.environ["SSL_CERT_FILE"]
    assert dict(os.environ) == before
