"""The commands on mail, as a person types them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from restante.diagnosis.explanations import EXPLANATIONS
from restante.diagnosis.report import Report
from restante.diagnosis.request import CheckRequest
from support.authority import HOSTS, make
from support.command import pop3
from support.faulty_server import HELLO, faulty_server
from support.live import Live, serving
from support.process import POP3

ODD = b"Subject: =?utf-8?q?=1b]0;evil=07_Gr=C3=BC=C3=9Fe?=\r\nFrom: Eve \x1b[31m <eve@example.com>\r\n\r\nRed \x1b[31m alert\x07\r\n"
MIXED = (
    b"Subject: Two parts\nFrom: Ann <ann@example.com>\nDate: Mon, 1 Jun 2026 10:00:00 +0000\n"
    b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    b"--b\nContent-Type: text/plain; charset=utf-8\n\nThe text.\n"
    b"--b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n"
    b'Content-Disposition: attachment; filename="../../bill.pdf"\n\nSGVsbG8=\n--b--\n'
)


@pytest.fixture
def live() -> Iterator[Live]:
    with serving() as live:
        live.add("ann@example.com", "hunter22", MIXED, HELLO)
        yield live


def url(port: int, scheme: str = "pop3") -> str:
    return f"{scheme}://ann@example.com@127.0.0.1:{port}"


def test_check_says_ok_and_each_step(live: Live) -> None:
    """A check that succeeds prints a line for each step, and OK."""
    ran = pop3("check", url(live.port))
    assert ran.code == 0
    phases = [line.split()[0] for line in ran.out.splitlines()]
    assert phases == ["connect", "greeting", "capa", "tls", "login", "mailbox", "OK"]
    assert re.search(r"mailbox   2 messages, \d+ B; STAT, LIST and UIDL agree", ran.out)
    assert "OK  The account works." in ran.out
    assert "Nothing was changed." in ran.out


def test_check_fails_with_a_cause_a_fix_and_an_exit_code(live: Live) -> None:
    """A failed check prints its verdict, names `pop3 explain`, and has the verdict's exit code."""
    ran = pop3("check", url(live.port), password="wrong password")
    assert ran.code == 7
    lines = ran.out.splitlines()
    verdict = next(line for line in lines if line.startswith("FAIL"))
    assert verdict == f"FAIL auth-failed  {EXPLANATIONS['auth-failed'].verdict}"
    assert lines[-1].startswith("  more  pop3 explain auth-failed")
    assert lines[-1].endswith("exit 7")
    assert "wrong password" not in ran.out + ran.err


def test_check_as_json_has_a_schema_and_no_secret(live: Live) -> None:
    """The JSON report names its schema and contains no password."""
    ran = pop3("check", url(live.port), "--json", "--deep")
    report = json.loads(ran.out)
    assert report["schema"] == "restante.check/1"
    assert (report["id"], report["exit"], report["verdict"]) == ("ok", 0, "ok")
    assert report["facts"]["mailbox"]["messages"] == 2
    assert any("PASS" in line or "AUTH" in line for line in report["trace"])
    assert "hunter22" not in ran.out


def test_check_from_the_library_says_the_same(live: Live) -> None:
    """`restante.check` returns the same verdict as the command."""
    import restante

    report = restante.check(url(live.port), "hunter22")
    assert (report.id, report.ok) == ("ok", True)
    assert restante.check(url(live.port), "nope", mechanisms=("USER",)).id == "auth-failed"


def test_check_verifies_by_the_file_it_is_given() -> None:
    """`--cacert` and `--servername` decide which certificate a check accepts."""
    with faulty_server(tls=True) as running:
        assert running.authority
        where = f"pop3s://ann@127.0.0.1:{running.tls_port}"
        assert pop3("check", where, "-s").code == 5
        ran = pop3("check", where, "--cacert", running.authority, "--servername", "localhost")
    assert ran.code == 0
    assert "certificate localhost, 364 days left, chain complete" in ran.out


def test_waiting_check_gets_maildrop() -> None:
    """A check that waits gets the maildrop when it is free."""
    with faulty_server("second-login") as running:
        assert pop3("check", running.url, "--wait", 10, "-s").code == 0
    with faulty_server("login-in-use") as running:
        ran = pop3("check", running.url)
    assert ran.code == 9
    assert "--wait 60" in ran.out


@pytest.mark.parametrize(
    ("words", "seconds", "limited"),
    [([], 60, False), (["--wait", "60"], 120, False), (["-m", "60", "--wait", "9"], 60, True)],
)
def test_time_limit_of_a_check(
    words: list[str], seconds: float, monkeypatch: pytest.MonkeyPatch, *, limited: bool
) -> None:
    """Without -m, the time of --wait does not count, and a deep check has more time."""
    asked: list[CheckRequest] = []

    def examine(request: CheckRequest, _progress: object) -> Report:
        asked.append(request)
        return Report(request.account)

    monkeypatch.setattr("restante.diagnosis.run.examine", examine)
    CliRunner().invoke(main, ["check", "--deep", "pop3://ann@127.0.0.1:1", *words])
    [request] = asked
    assert (request.options.total_seconds, request.limited) == (seconds, limited)


def test_probe_needs_no_password() -> None:
    """`probe` requires no password and finds out which protocol a port speaks."""
    with faulty_server(tls=True) as running:
        where = f"127.0.0.1:{running.tls_port}"
        ran = pop3("probe", where, "--cacert", running.authority or "", password=None)
    assert ran.code == 0
    assert "OK  The server works." in ran.out
    assert running.commands == ["CAPA", "QUIT"]


@pytest.mark.parametrize("option", ["--user=a", "--oauth", "--mechanism=PLAIN", "--netrc"])
def test_probe_has_no_option_of_a_login(option: str) -> None:
    """What only a login uses is rejected by `probe`, since it would have no effect."""
    ran = pop3("probe", "127.0.0.1:1", option)
    assert (ran.code, "No such option" in ran.err) == (2, True)


def test_explain_suggests_ids() -> None:
    """`explain` knows every id, and suggests one for a typing error."""
    listed = pop3("explain").out
    assert all(f"{name} " in listed for name in EXPLANATIONS)
    ran = pop3("explain", "tls-wronghost")
    assert "has another name" in ran.out
    assert "exit" in ran.out
    wrong = pop3("explain", "tls-wronghots")
    assert wrong.code == 2
    assert "did you mean tls-wronghost" in wrong.err


def test_stat_ls_and_uidl_say_what_is_there(live: Live) -> None:
    """`stat`, `ls` and `uidl` show the messages of the maildrop."""
    assert re.fullmatch(r"2 messages, \d+ B \(\d+ octets\)\n", pop3("stat", url(live.port)).out)
    listed = pop3("ls", url(live.port)).out.splitlines()
    assert re.search(r"1 +\d+ B  1 Jun \S+ +Ann +Two parts", listed[1])
    assert pop3("uidl", url(live.port)).out.splitlines()[0].startswith("1 ")
    rows = json.loads(pop3("ls", url(live.port), "--json").out)
    assert rows[0]["subject"] == "Two parts"


def test_ls_shows_a_sender_in_utf_8_that_nobody_encoded() -> None:
    """RFC 6532."""
    with serving() as live:
        live.add("ann@example.com", "hunter22", "From: Jürgen <j@x.org>\n\nHi\n".encode())
        assert "Jürgen" in pop3("ls", url(live.port)).out
        (row,) = json.loads(pop3("ls", url(live.port), "--json").out)
    assert row["from"] == "Jürgen"


def test_show_saves_under_safe_names(live: Live, tmp_path: Path) -> None:
    """`show` decodes a message, lists its parts, and saves them under harmless names."""
    ran = pop3("show", url(live.port), 1)
    assert "The text." in ran.out
    assert "part 2: application/pdf, ../../bill.pdf" in ran.out
    assert pop3("show", url(live.port), 1, "--part", 2).out == "Hello"
    saved = pop3("show", url(live.port), 1, "--part", 2, "--save", tmp_path / "mail")
    assert saved.code == 0
    assert (tmp_path / "mail" / "bill.pdf").read_bytes() == b"Hello"
    pop3("show", url(live.port), 1, "--save", tmp_path / "mail")
    whole = (tmp_path / "mail" / "message-1.eml").read_bytes()
    assert whole == MIXED.replace(b"\n", b"\r\n")
    assert pop3("show", url(live.port), 1, "--raw").out.encode() == whole
    assert pop3("show", url(live.port), 1, "--headers").out.startswith("Subject: Two parts\n")


def test_a_message_cut_off_is_saved_in_no_part(tmp_path: Path) -> None:
    """A message that is cut off is an error, and no part of it is saved."""
    with faulty_server("retr-cut") as running:
        ran = pop3("show", running.url, 1, "--save", tmp_path)
    assert ran.code == 11
    assert "FAIL msg-truncated" in ran.err
    assert not list(tmp_path.iterdir())


def test_top_and_raw_are_the_commands_of_the_article(live: Live) -> None:
    """`top` and `raw` print the server's reply, and delete nothing."""
    assert "The text." not in pop3("top", url(live.port), 1).out
    assert pop3("top", url(live.port), 2, 1).out.endswith("Hello, Bob.\r\n")
    ran = pop3("raw", url(live.port), "LIST")
    assert ran.out.splitlines()[0] == "+OK 2 messages:"
    assert len(ran.out.splitlines()) == 3
    refused = pop3("raw", url(live.port), "DELE", "9")
    assert (refused.code, refused.out) == (6, "-ERR There's no message 9.\n")
    pop3("raw", url(live.port), "DELE", "1")
    assert pop3("stat", url(live.port)).out.startswith("2 messages")


def test_rm_shows_asks_and_reports_what_quit_answered(live: Live) -> None:
    """`rm` deletes only after a confirmation, and reports the server's reply to QUIT."""
    asked = pop3("rm", url(live.port), 2)
    assert asked.code == 2
    assert "nothing was deleted" in asked.err
    assert pop3("rm", url(live.port), "no-such-uid", "-y").code == 2
    uid = pop3("uidl", url(live.port)).out.splitlines()[1].split(" ")[1]
    ran = pop3("rm", url(live.port), uid, "--yes")
    assert '"Hello"' in ran.out
    assert "Deleted message 2; the server confirmed it." in ran.out
    assert pop3("stat", url(live.port)).out.startswith("1 message,")


def test_rm_says_when_a_delete_was_not_confirmed() -> None:
    """`rm` exits with 13 if the server did not confirm the removal."""
    with faulty_server("quit-refused") as running:
        ran = pop3("rm", running.url, 1, "--yes")
    assert ran.code == 13
    assert "message 1 may not have been deleted" in ran.err
    with faulty_server("quit-closed") as running:
        ran = pop3("rm", running.url, 1, "--yes")
    assert ran.code == 13
    assert "may or may not have been deleted" in ran.err


def test_rm_where_numbers_move() -> None:
    """`rm` deletes the messages that were named, though a DELE moves the numbers of later ones."""
    letters = [b"Subject: %d\r\n\r\nText.\r\n" % number for number in range(4)]
    with faulty_server("dele-renumbers", messages=letters) as running:
        ran = pop3("rm", running.url, 1, 2, "--yes")
        assert (ran.code, running.left) == (0, letters[2:])
    assert "Deleted messages 1, 2; the server confirmed it." in ran.out


def test_output_is_escaped() -> None:
    """Octets from a server and its mail are never printed raw to the terminal."""
    with faulty_server("greeting: +OK \x1b]0;owned\x07 ready", messages=(ODD,)) as running:
        where = running.url
        said = "".join(
            ran.out + ran.err
            for ran in (
                pop3("check", where, "-v"),
                pop3("ls", where),
                pop3("show", where, 1),
                pop3("raw", where, "UIDL"),
            )
        )
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\\x1b" in said
    assert "Grüße" in said


def test_monitor_prints_one_line_with_performance_data(live: Live) -> None:
    """`monitor` prints one line with performance data, and its thresholds set the exit code."""
    ran = pop3("monitor", url(live.port), "-w", "login=60", "-c", "count=100")
    assert ran.code == 0
    line = ran.out.rstrip("\n")
    assert "\n" not in line
    assert line.startswith("POP3 OK - 2 messages")
    assert re.search(r"\| time=\d+\.\d+s;; login=\d+\.\d+s;60; count=2;;100 size=\d+B;;", line)
    assert pop3("monitor", url(live.port), "-w", "count=1").code == 1
    assert pop3("monitor", url(live.port), "-c", "count=1").out.startswith("POP3 CRITICAL - 2 mes")
    assert pop3("monitor", url(live.port), password="no").code == 2
    assert pop3("monitor", url(live.port), "-w", "nonsense").code == 3
    assert pop3("monitor", "--nonsense").code == 3
    assert pop3("monitor").out.startswith("POP3 UNKNOWN")


def test_monitor_prints_large_numbers_in_full(live: Live) -> None:
    """Large numbers have no exponent: monitoring systems read thresholds without one."""
    live.add("bob", "hunter22", HELLO + b"x" * 60 * 1000)
    account = f"pop3://bob@127.0.0.1:{live.port}"
    ran = pop3("monitor", account, "-w", "size=10000", "-c", "size=25000000")
    assert re.match(r"POP3 WARNING - 60\d{3} octets \|", ran.out), ran.out
    assert re.search(r" size=60\d{3}B;10000;25000000", ran.out), ran.out


def test_monitor_reads_accounts_file(live: Live, tmp_path: Path) -> None:
    """A monitor logs in for a name from the file of accounts."""
    folder = tmp_path / "restante"
    folder.mkdir()
    (folder / "accounts.toml").write_text(
        f'[work]\naccount = "{url(live.port)}"\npassword_command = "echo wrong"\n'
    )
    ran = pop3("monitor", "work", password=None, XDG_CONFIG_HOME=str(tmp_path))
    assert ran.code == 2
    assert ran.out.startswith("POP3 CRITICAL - auth-failed")
    ran = pop3("monitor", "ann", "-H", "127.0.0.1", "-p", str(live.port))
    assert ran.out.startswith('POP3 UNKNOWN - "ann" is not an account')


@pytest.mark.parametrize("limit", ["age=1800", "cert=3"])
def test_unmeasured_threshold_is_unknown(limit: str) -> None:
    """A threshold without a measure is UNKNOWN: a message's age if there are none, or a certificate
    without TLS.
    """
    with serving() as empty:
        empty.add("ann@example.com", "hunter22")
        ran = pop3("monitor", url(empty.port), "-c", limit)
    assert ran.code == 3
    name = limit.partition("=")[0]
    assert ran.out.startswith(f"POP3 UNKNOWN - {name}: could not be measured | time=")


@pytest.mark.parametrize("port", ["0", "-1", "99999"])
def test_port_of_a_monitor(port: str) -> None:
    """A port that cannot be is UNKNOWN, not a server that is down."""
    ran = pop3("monitor", "ann@example.com", "-H", "127.0.0.1", "-p", port)
    assert (ran.code, "1<=x<=65535" in ran.err) == (3, True), ran
    assert ran.out.startswith("POP3 UNKNOWN - ")


def test_a_bar_in_a_reply_begins_no_performance_data() -> None:
    """A monitoring system reads what follows the first "|" of the line as performance data."""
    with faulty_server("PASS: -ERR no | time=1s") as running:
        ran = pop3("monitor", running.url)
    assert (ran.code, ran.out.count("|")) == (2, 1), ran.out
    assert "no / time=1s | time=" in ran.out


def test_a_locked_mailbox_is_a_warning_to_a_monitor() -> None:
    """A locked maildrop is a warning to a monitor, not a failure."""
    with faulty_server("login-in-use") as running:
        assert pop3("monitor", running.url).code == 1


@pytest.mark.parametrize(
    "words",
    [
        ["stat", "pop3://ann@ex\u202eample.com"],
        ["stat", "pop3://ann@example.com", "--mechanism", "\x1b[31m\u202e"],
        ["stat", "pop3://ann@example.com", "--resolve", "\x1b[31m\u202e"],
        ["explain", "\x9b31m\u202e"],
        ["\x1b]0;\u202e"],
    ],
)
def test_errors_about_odd_words(words: list[str]) -> None:
    """An error that repeats a word of the command line shows its controls as escapes."""
    ran = pop3(*words)
    assert ran.code == 2
    assert not set(ran.err) & set("\x1b\x9b\u202e"), ran.err
    assert "\\u202e" in ran.err


def test_password_sources(live: Live, tmp_path: Path) -> None:
    """Passwords are read from files, commands, netrc and standard input; files may have a BOM."""
    file = tmp_path / "password"
    file.write_text("hunter22\r\nsecond line\n", encoding="utf-8-sig", newline="")
    where = url(live.port)
    for words in (
        ["--password-file", file],
        ["--password-command", f"cat {file}"],
        ["--password-stdin"],
        ["--password", "hunter22"],
    ):
        ran = pop3("stat", where, *words, password=None, stdin=b"hunter22\n")
        assert ran.code == 0, ran.err
    assert "can see the password" in ran.err
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ann@example.com password hunter22\n")
    netrc.chmod(0o600)
    assert pop3("stat", where, "--netrc", password=None, HOME=str(tmp_path)).code == 0
    none = pop3("stat", where, password=None)
    assert none.code == 2
    assert "no password; set POP3_PASSWORD" in none.err


def write_account(folder: Path, name: str, live: Live) -> None:
    """Write a file of accounts with one account, whose password a command prints."""
    (folder / "restante").mkdir()
    (folder / "restante" / "accounts.toml").write_text(
        f'["{name}"]\naccount = "{url(live.port)}"\npassword_command = "echo hunter22"\n'
    )


def test_an_account_has_a_name_in_the_file_of_accounts(live: Live, tmp_path: Path) -> None:
    """A name from the accounts file stands for an account and its password command."""
    write_account(tmp_path, "work", live)
    ran = pop3("stat", "work", password=None, XDG_CONFIG_HOME=str(tmp_path))
    assert (ran.code, ran.err) == (0, "")


def test_a_password_option_goes_before_the_stored_command(live: Live, tmp_path: Path) -> None:
    """Support staff try another password of a stored account; its own command is not run then."""
    write_account(tmp_path, "work", live)
    (tmp_path / "other").write_text("other\n")
    for words in (["--password-file", tmp_path / "other"], ["--password-stdin"]):
        ran = pop3(
            "stat", "work", *words, password=None, stdin=b"other\n", XDG_CONFIG_HOME=str(tmp_path)
        )
        assert (ran.code, "auth-failed" in ran.err) == (7, True), ran


def test_a_stored_name_opens_the_shell(live: Live, tmp_path: Path) -> None:
    """A name from the accounts file opens the shell, as an address does; subcommands go first."""
    write_account(tmp_path, "work", live)
    home = str(tmp_path)
    ran = pop3("work", password=None, stdin=b"STAT\n", XDG_CONFIG_HOME=home)
    assert (ran.code, ran.out.startswith("  > STAT\n  < +OK 2 ")) == (0, True), ran
    ran = pop3("wrok", XDG_CONFIG_HOME=home)
    assert (ran.code, "No such command 'wrok'." in ran.err) == (2, True), ran
    assert "No such command 'chekc'. Did you mean check?" in pop3("chekc").err
    file = tmp_path / "restante" / "accounts.toml"
    file.write_text("[work\n")
    ran = pop3("work", XDG_CONFIG_HOME=home)
    assert (ran.code, f"The names of accounts cannot be read: {file}" in ran.err) == (2, True), ran


def test_account_named_by_its_address(live: Live, tmp_path: Path) -> None:
    """The name of an account in the accounts file can be its address; other addresses stay."""
    write_account(tmp_path, "ann@example.com", live)
    ran = pop3("stat", "ann@example.com", password=None, XDG_CONFIG_HOME=str(tmp_path))
    assert (ran.code, ran.err) == (0, "")
    other = pop3("stat", url(live.port), password=None, XDG_CONFIG_HOME=str(tmp_path))
    assert (other.code, "no password" in other.err) == (2, True)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('password_command = ["pass", "a"]', "line 3: [work]: password_command must be a text"),
        ("password_command = 3", "line 3: [work]: password_command must be a text"),
        ("cacert = true", "line 3: [work]: cacert must be a text"),
        ('cacert = " "', "line 3: [work]: cacert must be a text that is not empty"),
        ("user = true", "line 3: [work]: user must be a text"),
        ("servername = [1]", "line 3: [work]: servername must be a text"),
    ],
)
def test_settings_of_another_type(lines: str, said: str, tmp_path: Path) -> None:
    """A setting that is not a text is an error with its line; it was used in Python's form."""
    folder = tmp_path / "restante"
    folder.mkdir()
    (folder / "accounts.toml").write_text(f'[work]\naccount = "pop3://ann@127.0.0.1:1"\n{lines}\n')
    ran = pop3("stat", "work", password=None, XDG_CONFIG_HOME=str(tmp_path))
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_account_that_names_a_table(tmp_path: Path) -> None:
    """An account that is the name of a table, such as its own, is an error that says so."""
    folder = tmp_path / "restante"
    folder.mkdir()
    (folder / "accounts.toml").write_text('[work]\naccount = "work"\n')
    ran = pop3("stat", "work", XDG_CONFIG_HOME=str(tmp_path))
    assert (ran.code, "did you mean" in ran.err) == (2, False)
    assert '"work" is the name of a table in' in ran.err


def test_stored_certificate_authority(tmp_path: Path) -> None:
    """A stored account has an authority of its own, and the name in its certificate."""
    folder = tmp_path / "restante"
    folder.mkdir()
    with faulty_server(tls=True) as running:
        (folder / "own.pem").write_bytes(Path(running.authority or "").read_bytes())
        work = (
            f'[work]\naccount = "pop3s://ann@127.0.0.1:{running.tls_port}"\ncacert = "own.pem"\n'
            'servername = "localhost"\npassword_command = "echo hunter22"\n'
        )
        (folder / "accounts.toml").write_text(work)
        ran = pop3("stat", "work", password=None, XDG_CONFIG_HOME=str(tmp_path))
        assert (ran.code, ran.err) == (0, "")
        ran = pop3("check", "work", password="wrong", XDG_CONFIG_HOME=str(tmp_path))
        assert "own.pem" not in ran.out  # the suggested command has the name of the account
        ran = pop3("stat", "work", "--cacert", "/no/such", XDG_CONFIG_HOME=str(tmp_path))
        assert "cacert cannot be read: /no/such" in ran.err
        (folder / "own.pem").unlink()
        ran = pop3("stat", "work", password=None, XDG_CONFIG_HOME=str(tmp_path))
    assert (ran.code, f"cacert cannot be read: {folder}/own.pem" in ran.err) == (2, True), ran


def test_verify_names_the_fault_of_a_certificate() -> None:
    """A test that cannot start has OpenSSL's words for it, and the command that shows more."""
    with faulty_server(tls=make("self", hosts=HOSTS).serving()) as running:
        ran = pop3("verify", f"pop3s://ann@localhost:{running.tls_port}")
    assert ran.code == 5
    assert ran.err.startswith("TLS failed: self-signed certificate; `pop3 probe` shows why")


@pytest.mark.parametrize("command", ["check", "fetch", "login", "ls", "token", "logout"])
def test_a_mistyped_stored_name(tmp_path: Path, command: str) -> None:
    """A name that is not in the file of accounts brings the file and the similar names."""
    folder = tmp_path / "restante"
    folder.mkdir()
    file = folder / "accounts.toml"

    def said(name: str) -> str:
        ran = pop3(command, name, password=None, XDG_CONFIG_HOME=str(tmp_path))
        assert ran.code == 2, ran
        return ran.err

    assert f"a name from {file}, which does not exist" in said("werk")
    file.write_text("".join(f'[{n}]\naccount = "{n}@example.com"\n' for n in ("work", "home")))
    assert f"a name from {file}; did you mean work?" in said("werk")
    assert f"a name from {file}, which has work, home" in said("zzz")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "ann"], "is not an account"),
        (["check", "pop3://ann:secret@host"], "must not contain a password"),
        (["check", "imap://ann@host"], "or pop3s://"),
        (["check", "pop3s://ann@host:99999"], "is not a port"),
        (["check", "ann@example.com", "-4", "-6"], "exclude each other"),
        (
            ["check", "pop3s://ann@127.0.0.1", "-6"],
            "-6 excludes 127.0.0.1, which is an IPv4",
        ),
        (["probe", "pop3s://[::1]", "-4"], "-4 excludes ::1, which is an IPv6 address"),
        (["check", "ann@example.com", "--cacert", "/no/such"], "cacert cannot be read: /no/such"),
        (["check", "ann@example.com", "--host", "x", "--resolve", "x"], "HOST:PORT:ADDRESS"),
        (["check", "pop3s://ann@x", "--resolve", "x:995:y.example"], "y.example is not an IP add"),
        (["check", "pop3s://ann@x", "--resolve", "x:99999:127.0.0.1"], "ports are 1 to 65535"),
        (
            [
                "check",
                "pop3s://ann@x",
                "--resolve",
                "x:995:192.0.2.1",
                "--resolve",
                "X:995:192.0.2.2",
            ],
            "X:995 two addresses, 192.0.2.1 and 192.0.2.2",
        ),
        (["show", "pop3s://ann@host", "0"], "0 is not in the range"),
        (["check", "ann@example.com", "-m", "-1"], "not in the range 0<x<=86400"),
        (["check", "ann@example.com", "--timeout", "0"], "not in the range"),
        (["check", "ann@example.com", "--connect-timeout", "nan"], "not a valid number of seconds"),
        (["check", "ann@example.com", "--wait", "-3"], "not in the range 0<=x<=86400"),
        (["discover", "ann@example.com", "-m", "x"], "not a valid number of seconds"),
        (["verify"], "missing argument HOST"),
        (
            ["ls", "pop3://ann@127.0.0.1", "--password-command", "false"],
            "false ended with exit code 1",
        ),
        (["ls", "pop3://ann@127.0.0.1", "--password-command", ""], "it is empty"),
        (["ls", "pop3://ann@127.0.0.1", "--password-command", "'"], "a quote is not closed"),
        (["ls", "pop3://ann@127.0.0.1", "--password-command", "true"], "the password is empty"),
        (["ls", "pop3://ann@127.0.0.1", "--password-stdin"], "the password is empty"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(words: list[str], said: str) -> None:
    """Invalid arguments are an error with exit code 2."""
    ran = pop3(*words)
    assert ran.code == 2
    assert said in ran.err


def test_an_empty_password_is_not_sent() -> None:
    """An empty password is an error and is never sent."""
    with faulty_server() as running:
        ran = pop3("check", running.url, password="")
    assert ran.code == 2
    assert "POP3_PASSWORD is set but empty" in ran.err
    assert not any(line.startswith("USER") for line in running.commands)


def test_an_empty_file_of_a_password(tmp_path: Path) -> None:
    """If a file has an empty password, the error does not blame the variable."""
    (tmp_path / "password").touch()
    ran = pop3(
        "ls", "pop3://ann@127.0.0.1", "--password-file", tmp_path / "password", password="secret"
    )
    assert (ran.code, ran.err.splitlines()[-1]) == (
        2, "Error: the password is empty, so it was not sent",
    )  # fmt: skip


def test_the_checks_of_verify_are_listed_without_a_host() -> None:
    """`verify --list` prints the checks without a server."""
    ran = pop3("verify", "--list")
    assert ran.code == 0
    assert "RFC 1939 section 3" in ran.out
    rows = json.loads(pop3("verify", "--list", "--json").out)
    assert len(rows) == ran.out.count("\n")
    assert set(rows[0]) == {"ids", "name", "title"}


@pytest.mark.parametrize(
    "account",
    [
        "pop3s://ann:se:kret@mail.example.com",
        "pop3s://ann@example.com:se@kret@mail.example.com",
        "https://ann:sekret@mail.example.com",
        "ann:sekret@example.com",
        "pop3s://ann:sek/ret@mail.example.com:1",
    ],
)
@pytest.mark.parametrize("command", ["check", "monitor", "verify", "ls"])
def test_a_password_in_an_account_is_not_shown(command: str, account: str) -> None:
    """An error about an account hides the password in it."""
    ran = pop3(command, account)
    assert ran.code in (2, 3)
    assert ":***@" in ran.out + ran.err
    assert "kret" not in ran.out + ran.err


def test_password_requires_tls() -> None:
    """A password is not sent without TLS unless an option allows that."""
    with faulty_server() as running:
        resolve = ["--resolve", f"mail.example.com:{running.port}:127.0.0.1"]
        where = f"pop3://ann@mail.example.com:{running.port}"
        assert pop3("stat", where, *resolve).code == 5
        assert not any("USER" in line for line in running.commands)
        assert pop3("stat", where, *resolve, "--insecure-plaintext").code == 0


def test_starttls_with_a_url_of_tls(live: Live) -> None:
    """`--starttls` holds for a URL too, as `--host` and `--port` do."""
    where = url(live.port, "pop3s")
    ran = pop3("check", where, "--starttls", "-s")
    assert (ran.code, "OK  The account works." in ran.out) == (0, True), ran
    ran = pop3("check", "pop3s://ann@127.0.0.2", "--starttls", "--connect-timeout", "1")
    assert "port 110:" in ran.out


def test_tls_at_an_unusual_port() -> None:
    """All commands find out that an unusual port uses TLS from the first octet, as a check does."""
    with faulty_server("tls-selfsigned") as running:
        port = str(running.tls_port)
        where = ["ann@example.com", "--host", "127.0.0.1", "--port", port, "-u", "ann"]
        for command in ("stat", "check"):
            ran = pop3(command, *where, "-k", "--timeout", "3")
            assert (ran.code, "2 messages" in ran.out) == (int(command == "check"), True), ran


def test_a_url_without_tls_at_a_port_of_tls() -> None:
    """A command names the cause, as a check does, and not a server that sends no greeting."""
    with faulty_server("tls-selfsigned") as running:
        where = f"pop3://ann@127.0.0.1:{running.tls_port}"
        for command in ("stat", "check"):
            ran = pop3(command, where, "--timeout", "1")
            assert (ran.code, "FAIL tls-on-plain" in ran.out + ran.err) == (6, True), ran


@pytest.mark.parametrize("words", [["top", "1", "30"], ["raw", "RETR", "1"]])
def test_a_full_disk_for_raw_octets(live: Live, words: list[str]) -> None:
    """The octets of a message that cannot be written are an error in one line."""
    command, *rest = words
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [POP3, command, url(live.port), *rest],
            env={**os.environ, "POP3_PASSWORD": "hunter22"},
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
    assert ended.returncode == 12
    assert ended.stderr.startswith("pop3: the output cannot be written: "), ended


def test_capitals_in_resolve() -> None:
    """`--resolve` holds for a host in other capitals: the DNS has none."""
    with faulty_server() as running:
        options = ["--resolve", f"Mail.Example.COM:{running.port}:127.0.0.1"]
        for host in ("mail.example.com", "MAIL.example.com"):
            where = f"pop3://ann@{host}:{running.port}"
            assert pop3("stat", where, *options, "--insecure-plaintext").code == 0


def test_colours_are_for_terminals_or_when_asked_for(live: Live) -> None:
    """Output is coloured only in a terminal or with `--color always`."""
    assert "\x1b[" not in pop3("check", url(live.port)).out
    assert "\x1b[32m" in pop3("check", url(live.port), "--color", "always").out
