"""The claims and commands of docs/how-to/migrate.md hold, with a real Dovecot."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from restante.storage.maildir import DovecotUniqueIds, uidlist
from support import courier, dovecot_2_4
from support.command import pop3
from support.dovecot import OWNER, STORED_OWNERS, STORED_PASSWORDS, Dovecot, dovecot
from support.live import Client
from support.other_user import public_folder
from support.process import POP3, free_port, serving, wait_for_port
from support.programs import need

PAGE = (Path(__file__).parents[2] / "docs/how-to/migrate.md").read_text()
BLOCKS: list[str] = re.findall(
    r"(?:^    \S.*\n(?:     .*\n)*)+|(?<=^```toml\n)(?:(?!```).*\n)+", PAGE, re.MULTILINE
)
USERDB = "ann@example.com\tuid=8|gid=8|home=/srv|mail=/srv/ann|systempw={hash}\nbob\tuid=8|gid=8\n"

ODD = [
    *("new/plain", "new/101.a", "new/102.b,S=18", "cur/103.c:2,", "cur/104.d,S=18,W=21:2,S"),
    *("new/105.with space", f"new/106.{'l' * 90}", "cur/107.e,U=5:2,RS", "new/108.\u00e9"),
    *("cur/109.:odd:x", "cur/110.f,X=1:2,Sab", "cur/111.g"),
]
SAVED = {"%08Xu%08Xv": "", "%v-%u": "pop3_save_uidl = yes\n", "%Xu.%v": ""}
NAMESPACE = "namespace inbox {\n inbox = yes\n}\n"  # as Debian has it


def deliver(file: Path) -> None:
    """Put a message into a Maildir of Dovecot's."""
    file.write_text("Subject: 1\n\nhello\n")
    os.chown(file, *OWNER)


def block(word: str) -> str:
    """Return the commands of the page in which this word stands."""
    (found,) = (block for block in BLOCKS if word in block)
    return found


def shell(commands: str, folder: Path, *, fails: bool = False, trusted: Path | None = None) -> str:
    """Run commands of the page in a folder, each of which must succeed, and return their output.

    With `fails` they must not succeed. `trusted` is a file with an authority for certificates.
    """
    path = f"{POP3.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": path, "HOME": str(folder)}
        | ({"SSL_CERT_FILE": str(trusted)} if trusted else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode != 0) is fails, done
    return done.stdout


def comparison(old: int, new: int) -> str:
    """Return the page's commands that compare two servers, for these ports."""
    ports = {"1110": new, "110": old}
    return re.sub(
        r"(?<=127\.0\.0\.1:)1?110\b", lambda at: str(ports[at[0]]), block("diff old.sorted")
    )


def configured(folder: Path, form: str) -> Path:
    """Write a configuration with the line of the page, for this format."""
    text = block('unique_ids = "%08Xu').replace("/srv/mail", str(folder / "mail"))
    (folder / "mail").mkdir(exist_ok=True)
    file = folder / "restante.toml"
    file.write_text(textwrap.dedent(text).replace("%08Xu%08Xv", form))
    return file


def unique_ids(port: int, user: str = "ann@example.com") -> list[str]:
    """Return the unique-ids that a server gives a user's messages."""
    with Client(port) as client:
        client.log_in(user, "secret")
        assert client.say("UIDL").startswith(b"+OK")
        found = [line.split()[1].decode() for line in client.read_lines()]
        assert client.say("QUIT").startswith(b"+OK")
    return found


def fill(old: Dovecot, *messages: bytes) -> list[str]:
    """Save messages of ann's, delete the second, and return the unique-ids that are left."""
    for message in messages:
        old.doveadm("save", "-u", "ann@example.com", stdin=message)
    with Client(old.port) as client:
        client.log_in("ann@example.com", "secret")
        assert client.say("DELE 2").startswith(b"+OK")
        assert client.say("QUIT").startswith(b"+OK")
    return unique_ids(old.port)


def unique_ids_of_copy(tmp_path: Path, form: str, copy: Path) -> list[str]:
    """Serve a Maildir that was Dovecot's in a format, and return its unique-ids."""
    with serving(tmp_path, "--config", configured(tmp_path, form)) as new:
        ours = new.add("ann@example.com", "secret")
        shutil.rmtree(ours)
        shutil.copytree(copy, ours)
        return unique_ids(new.port)


@pytest.fixture
def folder() -> Iterator[Path]:
    with public_folder() as folder:
        yield folder


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("%f", True),
        ("%g", True),
        ("%08Xu%08Xv", False),
        ("%08Xu%08Xv", True),
        ("%v-%u", False),
        ("%v-%u", True),
        ("%v.%u", True),
        ("UID%u-%v", True),
        ("%Mf", True),
    ],
)
def test_unique_ids_stay_as_described(tmp_path: Path, folder: Path, form: str, line: bool) -> None:
    """Unique-ids stay exactly in the cases that the page names."""
    (tmp_path / "password").write_text("secret\n")
    stay = line
    flags: list[str | Path] = ["--config", configured(tmp_path, form)] if line else []
    given = f"pop3_uidl_format = {form}\n"
    with dovecot(folder, "secret", given) as old, serving(tmp_path, *flags) as new:
        theirs = old.maildir("ann@example.com")
        for number in range(12):
            fields = ",S=19,W=22" if number % 3 else ""
            host = "mail" if number % 2 else "ip-10-0-0-1.eu-central-1.compute.internal.example.com"
            place = f"cur/{1_764_036_000 + number}.M{number}P1.{host}{fields}:2,S"
            (theirs / place).write_text(f"Subject: {number % 10}\n\nhello\n")
            os.chown(theirs / place, *OWNER)
        ours = new.add("ann@example.com", "secret")
        shutil.rmtree(ours)
        unique_ids(old.port)  # Dovecot numbers them
        shutil.copytree(theirs, ours)
        said = shell(comparison(old.port, new.port), tmp_path, fails=not stay)
    assert len((tmp_path / "new").read_text().splitlines()) == 12
    assert len((tmp_path / "old").read_text().splitlines()) == 12
    assert (said == "12 unique-ids are the same\n") is stay, said


@pytest.mark.parametrize("form", ["%08Xu%08Xv", "%v-%u", "%Xu.%v"])
def test_odd_mail_keeps_unique_ids(tmp_path: Path, folder: Path, form: str) -> None:
    """rfc1939-s7/unique-id-not-reused, rfc1939-s7/user: unique-ids of odd mail stay after
    deliveries, flags and removals.
    """
    given = f"pop3_uidl_format = {form}\n{SAVED[form]}"
    with dovecot(folder, "secret", given) as old:
        theirs = old.maildir("ann@example.com")
        for name in ODD:
            deliver(theirs / name)
        unique_ids(old.port)
        deliver(theirs / "new/90.later,S=18")  # its name is earlier, its number later
        (theirs / "cur/103.c:2,").unlink()
        before = unique_ids(old.port)
    assert len(before) == len(ODD)
    with serving(tmp_path, "--config", configured(tmp_path, form)) as new:
        ours = new.add("ann@example.com", "secret")
        shutil.rmtree(ours)
        shutil.copytree(theirs, ours)
        assert sorted(unique_ids(new.port)) == sorted(before)
        deliver(ours / "new/1764036999.fresh")
        flagged = next((ours / "cur").glob("107.*"))
        flagged.rename(flagged.with_name(f"{flagged.name}F"))
        for path in (ours / "cur").glob("plain*"):
            path.unlink()
        after = unique_ids(new.port)
    assert after[-1] == "1764036999.fresh"
    assert set(after[:-1]) < set(before)
    assert len(set(after)) == len(before)


@pytest.mark.parametrize(
    ("kind", "formats"),
    [
        ("sdbox", ["%08Xu%08Xv", "%08Xu%08Xv"]),
        ("mdbox", ["%v.%u", "%v.%u"]),
        ("mdbox", ["%g", "%g"]),
        ("mbox", ["%08Xu%08Xv", "%{uid | hex(8)}%{uidvalidity | hex(8)}"]),
        ("mbox", ["%m", "%m"]),
        ("maildir", ["%f", "%g"]),
        ("maildir", ["%v.%u", "%v.%u"]),
    ],
)
def test_dovecot_mail_keeps_unique_ids(
    tmp_path: Path, folder: Path, kind: str, formats: list[str]
) -> None:
    """rfc1939-s7/unique-id-not-reused: unique-ids stay when Dovecot's mail becomes a Maildir."""
    need("doveadm")
    form, line = formats
    given = f"mail_location = {kind}:{folder}/mail/%u\npop3_uidl_format = {form}\n{NAMESPACE}"
    with dovecot(folder, "secret", given) as old:
        os.chown(folder, *OWNER)
        if kind == "maildir":
            deliver(old.maildir("ann@example.com") / f"new/106.{'l' * 90}")
        before = fill(old, *(b"Message-ID: <%d@x>\n\nx\n" % number for number in range(4)))
        assert len(before) == (4 if kind == "maildir" else 3)
        command = block("doveadm -o").replace("doveadm", f"doveadm -c {old.config}")
        shell(command.replace("/srv/mail/ann@example.com", str(folder / "maildir")), folder)
    assert sorted(unique_ids_of_copy(tmp_path, line, folder / "maildir")) == sorted(before)


FORMS = [
    *("%08Xu%08Xv", "%v-%u", "%v.%u", "UID%u-%v", "%f", "%g", "%Mf", "%Lg", "%Rf", "%Uf.%u"),
    *("%3.4f%u", "%-7.4f%u", "%2.-3f%u", "%05u", "%5u", "%-05u", "%8.08Xu%u", "%u%%"),
    *("%Hf", "%100Hf%u", "%3.100Hu", "%Nf", "%8.1000Nf", "%Xf-%u", "%Df", "%Tf", "%Ef"),
]
NEW_FORMS = [
    *(dovecot_2_4.uidl_format(form).replace(" ", "") for form in FORMS[:7]),
    *("%{filename|lower}.%{uid}", "%{filename|reverse}", "%{uid|hex(3)}%{uid}", "%{uid|hex(-6)}"),
    *("%{filename|hexlify}", "%{uid|md5}", "%{filename|sha512|hexlify(10)}", "%{uid|hex|upper}"),
    *("%{filename|sha1|lower}", "%{filename|md5|reverse|hexlify}", "%{filename|md5|hexlify(40)}"),
]


SHORT = (
    "%{uid | md5 | hexlify(1)}"
    if shutil.which("dovecot") and dovecot_2_4.is_installed()
    else "%.1Mu"
)


def test_every_format_makes_what_dovecot_makes_of_it(folder: Path) -> None:
    """rfc1939-s7/unique-id-not-reused: each account of this Dovecot has a format of its own."""
    need("dovecot")
    forms = NEW_FORMS if dovecot_2_4.is_installed() else FORMS
    fields = ":".join(("{PLAIN}secret", *map(str, OWNER), "", f"{folder}/home", "", ""))
    (folder / "users").write_text(
        "".join(
            f"u{number}:{fields}userdb_pop3_uidl_format={form.replace('%', '%%')}\n"
            for number, form in enumerate(forms)
        )
    )
    with dovecot(folder, "secret", accounts=STORED_PASSWORDS + STORED_OWNERS) as old:
        for number, form in enumerate(forms):
            box = old.maildir(f"u{number}")
            for name in ("new/101.a'b", "cur/102.b-C_D.e,S=18,W=21:2,S", f"new/103.{'l' * 90}.x"):
                deliver(box / name)
            theirs = unique_ids(old.port, f"u{number}")
            ours = uidlist.read(DovecotUniqueIds(form), (box / "dovecot-uidlist").read_bytes())
            assert list(ours.values()) == theirs, form


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("mdbox", "pop3_uidl_format = %u\npop3_reuse_xuidl = yes\n"),
        ("mdbox", f"pop3_uidl_format = {SHORT}\npop3_uidl_duplicates = rename\n"),
        ("maildir", 'pop3_uidl_format = %u\npop3_deleted_flag = "$POP3Deleted"\n'),
    ],
)
def test_other_settings_of_dovecot(tmp_path: Path, folder: Path, kind: str, settings: str) -> None:
    """rfc1939-s7/unique-id-not-reused: unique-ids stay with the settings that the page names."""
    need("doveadm")
    place = f"{NAMESPACE}mail_location = {kind}:{folder}/mail/%u\n"
    with dovecot(folder / "old", "secret", place.replace("/mail/", "/old/mail/") + settings) as old:
        before = fill(old, *(b"X-UIDL: given%d\n\nx\n" % number for number in range(8)))
        shell(block("keyword").replace("doveadm", f"doveadm -c {old.config}"), folder)
        command = block("doveadm -o").replace("doveadm", f"doveadm -c {old.config}")
        copy = folder / "copy/mail/ann@example.com"
        copy.parent.mkdir(parents=True)
        os.chown(copy.parent, *OWNER)
        shell(command.replace("/srv/mail/ann@example.com", str(copy)), folder)
    assert len(before) == 7
    with dovecot(
        folder / "copy", "secret", f"{NAMESPACE}{settings}pop3_save_uidl = yes\n"
    ) as copied:
        assert unique_ids(copied.port) == before
    assert sorted(unique_ids_of_copy(tmp_path, "%08Xu%08Xv", copy)) == sorted(before)


def test_couriers_unique_ids_stay(tmp_path: Path) -> None:
    """rfc1939-s7/unique-id-not-reused: Debian's own courierpop3d gives them, also for messages that
    came meanwhile.
    """
    command = courier.need_courier()
    theirs = tmp_path / "mail" / "ann@example.com"
    configuration = tmp_path / "restante.toml"
    text = block('unique_ids = "courier"').replace("/srv/mail", str(tmp_path / "mail"))
    configuration.write_text(textwrap.dedent(text))
    with serving(tmp_path, "--config", configuration) as new:
        new.add("ann@example.com", "secret")
        for name in ("new/101.a", "cur/102.b,S=18:2,S", f"new/103.{'l' * 90}", "new/104.c d"):
            (theirs / name).write_text("Subject: 1\n\nhello\n")
        before = courier.unique_ids(command, theirs)
        (theirs / "new/105.e").write_text("Subject: 1\n\nhello\n")
        (theirs / "cur/101.a:2,").unlink()
        before = [*before[1:], *courier.unique_ids(command, theirs)[3:]]
        assert len(before) == 4
        assert unique_ids(new.port) == before
        (theirs / "cur/105.e:2,").rename(theirs / "cur/105.e:2,RS")
        (theirs / "new/106.f").write_text("Subject: 1\n\nhello\n")
        assert unique_ids(new.port) == [*before, "106.f"]


def test_unique_ids_in_an_mbox_stay(tmp_path: Path) -> None:
    """rfc1939-s7/unique-id-not-reused: as qpopper writes them into the header."""
    text = textwrap.dedent(block("x-uidl")).replace("/var/mail", str(tmp_path / "mail"))
    configuration = tmp_path / "restante.toml"
    configuration.write_text(text)
    from_line = "From bob@example.com Tue Nov 24 22:00:46 2026\n"
    with serving(tmp_path, "--config", configuration) as new:
        shutil.rmtree(new.add("ann@example.com", "secret"))
        (tmp_path / "mail/ann@example.com").write_text(
            f"{from_line}Subject: 1\nX-UIDL: !$'abc~+9\nStatus: RO\n\nx\n\n"
            f"{from_line}Subject: 2\n\ny\n\n"
        )
        first, second = unique_ids(new.port)
        assert first == "!$'abc~+9"
        with Client(new.port) as client:
            client.log_in("ann@example.com", "secret")
            assert client.say("DELE 1").startswith(b"+OK")
            assert client.say("QUIT").startswith(b"+OK")
        assert unique_ids(new.port) == [second]


def test_page_unpacks_mail(folder: Path) -> None:
    """The page's command unpacks compressed mail; Restante does not read zstd."""
    need("doveadm")
    plugin = "mail_plugins = zlib\nplugin {\n zlib_save = zstd\n}\n"
    options = re.findall(r"`(-o \S+= -o maildir_copy_with_hardlinks=no)`", PAGE)
    assert len(options) == 2
    option = options[dovecot_2_4.is_installed()]
    with dovecot(folder, "secret", NAMESPACE + plugin) as old:
        os.chown(folder, *OWNER)
        doveadm = f"doveadm -c {old.config}"
        shell(f"seq 1000 | {doveadm} save -u ann@example.com", folder)
        command = block("doveadm -o").replace("doveadm", f"{doveadm} {option}", 1)
        shell(command.replace("/srv/mail/ann@example.com", str(folder / "maildir")), folder)
    (stored,) = (folder / "mail/ann@example.com").glob("*/*,S=*")
    (plain,) = (folder / "maildir").glob("*/*,S=*")
    assert stored.read_bytes().startswith(b"\x28\xb5\x2f\xfd")
    assert plain.read_text() == "".join(f"{number}\n" for number in range(1, 1001))


def test_trial_requires_certificate(tmp_path: Path, folder: Path) -> None:
    """The trial compares servers with a certificate, and fails without a trusted one."""
    authority = trustme.CA()
    chain = tmp_path / "mail.pem"
    authority.issue_cert("mail.example.com").private_key_and_cert_chain_pem.write_to_path(chain)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    tls = f"ssl = yes\nssl_cert = <{chain}\nssl_key = <{chain}\n"
    (tmp_path / "password").write_text("secret\n")
    flags: list[str | Path] = ["--certificate", chain, "--key", chain]
    flags += ["--config", configured(tmp_path, "%08Xu%08Xv")]
    with dovecot(folder, "secret", tls) as old, serving(tmp_path, *flags) as new:
        theirs = old.maildir("ann@example.com")
        ours = new.add("ann@example.com", "secret")
        trusted = tmp_path / "authority.pem"
        commands = comparison(old.port, new.port)
        assert (
            shell(commands, tmp_path, fails=True, trusted=trusted) == ""
        )  # no mail: nothing compared
        deliver(theirs / "new/101.a")
        unique_ids(old.port)
        shutil.rmtree(ours)
        shutil.copytree(theirs, ours)
        assert shell(commands, tmp_path, trusted=trusted) == "1 unique-ids are the same\n"
        check = block("check --deep").replace("127.0.0.1:1110", f"127.0.0.1:{new.port}")
        assert "ok" in shell(check, tmp_path, trusted=trusted)
        assert shell(commands, tmp_path, fails=True) == ""  # the certificate cannot be verified


def test_dovecot_passwd_file(tmp_path: Path) -> None:
    """A passwd-file of Dovecot is read, and useless lines are reported."""
    users = tmp_path / "users"
    added = pop3("user", "add", "ann", "--password-stdin", "--users", users, stdin=b"a\n")
    assert added.code == 0, added.err
    good = users.read_text().split(":")[1]
    users.write_text(
        f"ann:{{ARGON2ID}}{good}:5000:5000::/srv/mail/ann::userdb_quota=1G\n"
        "bob:{SSHA}c2FsdHNhbHRzYWx0c2FsdHNhbHQ=\n"
    )
    listed = block("pop3 user list").splitlines()[1].replace("/etc/restante/users", str(users))
    shell(listed, tmp_path)
    assert (tmp_path / "names").read_text() == "ann\n"
    assert "bob" in pop3("user", "list", "--users", users).err


def test_a_password_in_clear_becomes_an_account(tmp_path: Path) -> None:
    """A password in clear text becomes an account with a hash."""
    (tmp_path / "password").write_text("secret\n")
    shell(block("< password").replace("/etc/restante/", ""), tmp_path)
    assert (tmp_path / "users").read_text().startswith("bob@example.com:$argon2id$")


def test_second_copy(tmp_path: Path) -> None:
    """A second copy adds mail that arrived meanwhile, and removes mail that is gone."""
    need("rsync")
    old, new = tmp_path / "old", tmp_path / "mail"
    for part in ("new", "cur", "tmp"):
        (old / "ann" / part).mkdir(parents=True)
    new.mkdir()
    gone = old / "ann/new/1.a"
    gone.write_text("1")
    kept = old / "ann/cur/2.b:2,S"
    kept.write_text("2")
    os.utime(kept, (1_000_000_000, 1_000_000_000))
    (old / "ann/dovecot-uidlist").write_text("3 V1 N2\n")
    (old / "ann/restante.sizes").write_text("")
    owner = f"{os.getuid()}:{os.getgid()}"
    commands = block("rsync").replace("/var/vmail", str(old)).replace("/srv/mail", str(new))
    commands = commands.replace("vmail:vmail", owner)
    shell(commands, tmp_path)
    gone.unlink()
    shell(commands, tmp_path)
    files = sorted(str(file.relative_to(new)) for file in new.rglob("*") if file.is_file())
    assert files == ["ann/cur/2.b:2,S", "ann/dovecot-uidlist"]
    assert (new / "ann/cur/2.b:2,S").stat().st_mtime == 1_000_000_000
    assert new.stat().st_mode & 0o777 == 0o700


def test_the_trial_runs_beside_the_old_server(tmp_path: Path) -> None:
    """The flags replace the addresses of the configuration, which the old server has."""
    chain = tmp_path / "mail.pem"
    certificate = trustme.CA().issue_cert("mail.example.com")
    certificate.private_key_and_cert_chain_pem.write_to_path(chain)
    (tmp_path / "mail").mkdir()
    (tmp_path / "users").touch()
    with socket.create_server(("127.0.0.1", 0)) as old:
        taken = f"127.0.0.1:{old.getsockname()[1]}"
        (tmp_path / "restante.toml").write_text(
            f'[server]\nlisten = ["{taken}"]\n'
            f'[tls]\nlisten = ["{taken}"]\n'
            f'certificates = [{{certificate = "{chain}", key = "{chain}"}}]\n'
            f'[mail]\nfolder = "{tmp_path / "mail"}"\n[accounts]\nusers = "{tmp_path / "users"}"\n'
        )
        port = free_port()
        words = shlex.split(block("runuser").replace("\\\n", ""))
        places = {"/etc/restante/restante.toml": str(tmp_path / "restante.toml")}
        places |= {"127.0.0.1:1110": f"127.0.0.1:{port}", "127.0.0.1:1995": "127.0.0.1:0"}
        command = [places.get(word, word) for word in words[words.index("pop3") :]]
        with subprocess.Popen([POP3, *command[1:]]) as process:
            try:
                wait_for_port(port, process)
            finally:
                process.kill()


def test_every_block_of_the_page_is_tried_here() -> None:
    """A test here runs each block of the page."""
    tried = Path(__file__).read_text()
    words = re.findall(r"block\([\"'](.+?)[\"']\)", tried)
    assert [text for text in BLOCKS if not any(word in text for word in words)] == []


def test_a_userdb_of_courier_becomes_a_file_of_accounts(tmp_path: Path) -> None:
    """Courier's userdb becomes an accounts file."""
    need("awk")
    stored = "$6$salt$" + "x" * 86
    (tmp_path / "userdb").write_text(USERDB.format(hash=stored))
    shell(block("systempw").replace("/etc/courier/", "").replace("/etc/restante/", ""), tmp_path)
    assert (tmp_path / "users").read_text() == f"ann@example.com:{stored}\n"
    assert pop3("user", "list", "--users", tmp_path / "users").out == "ann@example.com\n"
