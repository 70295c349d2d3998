"""The configuration file: typed, and all mistakes told at once with file, key and what is right."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog
import trustme

from restante.protocol.server.settings import ProtocolSettings
from restante.server.composition import backends, components
from restante.server.config.addresses import ListenAddress
from restante.server.config.loader import ConfigError, load
from restante.server.log import event_log

LOG = structlog.get_logger()
LEAST = '[mail]\nfolder = "mail"\n[accounts]\nusers = "users"\n'
CLUSTER = '[mail]\nformat = "cluster"\n[cluster]\npostgresql_dsn_file = "dsn"\n'


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "restante.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert all(problem.startswith(f"{file}: ") for problem in caught.value.problems)
    return [problem.removeprefix(f"{file}: ") for problem in caught.value.problems]


def test_the_least_file_gives_the_defaults(tmp_path: Path) -> None:
    """rfc1939-s3/greeting, rfc1939-s3/idle-timeout, policy/lock-wait, policy/connection-limits."""
    file = tmp_path / "restante.toml"
    file.write_text(LEAST)
    config = load(file, {})
    assert config.settings() == ProtocolSettings()
    assert config.settings().idle_timeout >= 600
    assert config.server.listen == ("127.0.0.1:110", "[::1]:110")
    assert config.limits.connections == 4000
    assert config.timeouts.write == 600
    assert config.timeouts.lock == 3


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Paths in the configuration are relative to its file."""
    file = tmp_path / "restante.toml"
    file.write_text(LEAST)
    config = load(file, {})
    assert config.mail.folder == tmp_path / "mail"
    assert config.accounts.users == tmp_path / "users"


def test_everything_can_be_set(tmp_path: Path) -> None:
    """Every setting of the file reaches the server."""
    file = tmp_path / "restante.toml"
    file.write_text(
        LEAST
        + """
        [server]
        listen = ["*:1110", "[::1]:1111", "mail.example.com:110"]
        greeting = "Hello."
        implementation = ""
        strict_line_ends = true
        language = "de"
        [login]
        delay = 30
        apop = true
        [timeouts]
        login = 600
        idle = 1200.5
        lock = 0
        write = 60
        stop = 1
        [limits]
        connections = 10
        bad_commands_before_login = 12
        bad_commands_after_login = 40
        [log]
        format = "json"
        """.replace("        ", "")
    )
    config = load(file, {})
    assert config.login.delay == 30
    assert config.settings() == ProtocolSettings(
        greeting="Hello.",
        implementation="",
        strict_line_ends=True,
        language="de",
        apop=True,
        login_timeout=600,
        idle_timeout=1200.5,
        bad_commands_before_login=12,
        bad_commands_after_login=40,
    )


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """Flags of the command line have precedence over the file."""
    file = tmp_path / "restante.toml"
    file.write_text(LEAST + '[server]\nlisten = ["*:110"]\ngreeting = "Hello."\n')
    flags: dict[str, dict[str, object]] = {
        "server": {"listen": ["127.0.0.1:1"]},
        "mail": {"folder": Path("/srv/mail")},
    }
    config = load(file, flags)
    assert config.server.listen == ("127.0.0.1:1",)
    assert config.server.greeting == "Hello."
    assert config.mail.folder == Path("/srv/mail")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """known-bug/short-timeout: a time-out of less than ten minutes is among them."""
    found = problems(
        tmp_path,
        """
[server]
lisen = ["*:110"]
listen = ["*:110", "here"]
strict_line_ends = "yes"
[mail]
layout = "{name}"
[timeouts]
idle = 30
[log]
format = "xml"
[extra]
""",
    )
    assert [line.split(":")[0] for line in sorted(found)] == sorted(
        [
            "server.lisen",
            "server.listen",
            "server.strict_line_ends",
            "mail.folder",
            "mail.layout",
            "timeouts.idle",
            "log.format",
            "extra",
            "accounts.users",
        ]
    )
    told = "\n".join(found)
    assert "did you mean listen?" in told
    assert "HOST:PORT" in told
    assert "Expected true or false" in told
    assert "which `pop3 user add` creates" in told
    assert "of at least 600" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[mail", "expected ']'"),
        ("mail = 5\n[accounts]\nusers='u'", "expected a table"),
        (
            LEAST + "[server]\ngreeting = 'a <b>'",
            "without '<'",
        ),  # RFC 1939 section 7: APOP's timestamp
        (LEAST + "[server]\ngreeting = '[x] hi'", "and '['"),
        (LEAST + "[server]\nimplementation = 'a b'", "one word"),
        (LEAST + "[server]\nlisten = ['::1:110']", "brackets"),
        (LEAST + "[server]\nlisten = ['a:99999']", "at most 65535"),
        (LEAST + "[server]\nlisten = ['[zz]:1']", "zz"),
        (LEAST.replace("'mail'", "5").replace('"mail"', "5"), "Expected a path"),
        (LEAST + "[control]\nfolder = ''", "control.folder: Expected a path (it is '')"),
        (LEAST + "[control]\nfolder = 'a\\u0000b'".replace("'", '"'), "Expected a path"),
        (LEAST.replace("[accounts]", "layout='../{user}'\n[accounts]"), "within the mail folder"),
        (LEAST.replace("[accounts]", "layout='{domain}'\n[accounts]"), "{local} and {domain}"),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(tmp_path: Path, text: str, told: str) -> None:
    """rfc2449-s3/response-code: the greeting's text does not read as a response code."""
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert told.lower() in found[0].lower()


def test_capability_length(tmp_path: Path) -> None:
    """rfc2449-s3/capability-tag, implied/long-names: a capability of over 512 octets cannot be
    configured.
    """
    longest = "x" * (512 - len("IMPLEMENTATION \r\n"))
    assert problems(tmp_path, LEAST + f"[server]\nimplementation = '{longest}x'")


def test_a_missing_file_is_told_of(tmp_path: Path) -> None:
    """A missing configuration file is an error."""
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", {})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:110", ListenAddress("127.0.0.1", 110)),
        ("[::1]:995", ListenAddress("::1", 995)),
        ("*:110", ListenAddress("", 110)),
        ("localhost:0", ListenAddress("localhost", 0)),
    ],
)
def test_an_address_is_read_and_written(text: str, address: ListenAddress) -> None:
    """An address is parsed, and written back in the same form."""
    assert ListenAddress.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("lmtp", "place"),
    [
        ("/run/restante/lmtp", "/run/restante/lmtp"),
        ("unix:/run/lmtp", "/run/lmtp"),
        ("127.0.0.1:24", "127.0.0.1:24"),
        ("[::1]:24", "[::1]:24"),
        ("lmtp", "{folder}/lmtp"),
        ("unix:lmtp", "{folder}/lmtp"),
        ("run/a:24", "{folder}/run/a:24"),
    ],
)
def test_mail_comes_in_where_only_this_machine_can_reach(
    tmp_path: Path, lmtp: str, place: str
) -> None:
    """LMTP listens at a path or at an address of this machine."""
    file = tmp_path / "restante.toml"
    file.write_text(f'{LEAST}[delivery]\nlmtp = "{lmtp}"\nsmtp = "localhost:25"\n')
    assert load(file, {}).delivery.lmtp == place.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            'lmtp = "0.0.0.0:24"',
            "delivery.lmtp: '0.0.0.0:24' accepts connections from other machines",
        ),
        ('lmtp = "*:24"', "delivery.lmtp: '*:24' accepts connections from other machines"),
        ('lmtp = "mail.example.com:24"', "delivery.lmtp: 'mail.example.com:24' accepts"),
        ('lmtp = "lmtp:x"', "delivery.lmtp: 'lmtp:x' is not HOST:PORT"),
        ('lmtp = ""', "delivery.lmtp: '' is not HOST:PORT"),
        ('smtp = "/run/smtp"', "delivery.smtp: '/run/smtp' is not HOST:PORT"),
        (
            'smtp = "192.0.2.1:25"',
            "delivery.smtp: '192.0.2.1:25' accepts connections from other machines",
        ),
        ('socket_mode = "rw"', "delivery.socket_mode: "),
        ("socket_mode = 432", "delivery.socket_mode: "),
        ('recipient_delimiter = "--"', "delivery.recipient_delimiter: "),
        ('recipients = "all"', "delivery.recipients: "),
        ("message_size = 5", "delivery.message_size: "),
    ],
)
def test_a_mistake_about_delivery_is_told(tmp_path: Path, line: str, told: str) -> None:
    """All hosts that reach LMTP can deliver, so a network address must be confirmed."""
    (problem,) = problems(tmp_path, f"{LEAST}[delivery]\n{line}\n")
    assert problem.startswith(told)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            '[server]\nworkers = "two"',
            "server.workers: Expected a number or \"auto\" (it is 'two')",
        ),
        ('[login]\nscram = "on"', 'login.scram: Expected "auto", "always" or "never" (it is'),
        ("[server]\nworkers = 0", "server.workers: Expected a whole number of at least 1"),
    ],
)
def test_invalid_word_lists_valid_ones(tmp_path: Path, line: str, told: str) -> None:
    """An invalid word is reported with the valid ones."""
    (problem,) = problems(tmp_path, f"{LEAST}{line}\n")
    assert problem.startswith(told)


@pytest.mark.parametrize("key", ["jwks", "introspection", "metadata_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example.com/keys",
        "http://192.0.2.1/",
        "http://127.0.0.1.example.com/",
        "http://localhost@issuer.example.com/",
        "HTTP://issuer.example.com/",
        "ftp://127.0.0.1/keys",
        "file:///etc/keys",
        "https://",
        "https://[zz]/",
    ],
)
def test_an_issuer_is_asked_by_https_alone(tmp_path: Path, key: str, url: str) -> None:
    """Over plain HTTP an attacker could send keys, or get the client's secret."""
    (problem,) = problems(tmp_path, f'{LEAST}[tokens]\n{key} = "{url}"\n')
    assert problem.startswith(f"tokens.{key}: Expected an https URL")


@pytest.mark.parametrize(
    "line",
    [
        'jwks = "/etc/restante/jwks.json"',
        'jwks = "https://issuer.example.com/keys"',
        'jwks = "http://127.0.0.1:8080/keys"',
        'introspection = "https://issuer.example.com/introspect"',
        'introspection = "http://[::1]:8080/"',
        'introspection = "http://localhost/"',
    ],
)
def test_an_issuer_on_this_machine_may_do_without_tls(tmp_path: Path, line: str) -> None:
    """An issuer may be a file, an https URL, or an http URL of this machine."""
    file = tmp_path / "restante.toml"
    file.write_text(f"{LEAST}[tokens]\n{line}\n")
    load(file, {})


def test_metadata_require_tokens(tmp_path: Path) -> None:
    """The URL of the metadata has no effect without tokens, so it is an error."""
    text = '[tokens]\nmetadata_url = "https://issuer.example.com/metadata"\n'
    assert problems(tmp_path, LEAST + text) == [
        "tokens.metadata_url: requires tokens.jwks or tokens.introspection"
    ]


def test_metadata_for_clients(tmp_path: Path) -> None:
    """A client with an invalid token gets the URL of the metadata: RFC 7628 section 3.2.2."""
    (tmp_path / "restante.toml").write_text(
        f'{LEAST}[tokens]\njwks = "keys"\nmetadata_url = "https://issuer.example.com/metadata"\n'
    )
    assert json.loads(load(tmp_path / "restante.toml", {}).settings().refused_token) == {
        "status": "invalid_token",
        "openid-configuration": "https://issuer.example.com/metadata",
    }


NOWHERE = LEAST + "[server]\nlisten = []\n"


def test_server_without_an_address(tmp_path: Path) -> None:
    """A server that no program can reach would run, and say nothing."""
    assert problems(tmp_path, NOWHERE) == [
        "server.listen: no address is left; set one here, or in tls.listen"
    ]


@pytest.mark.parametrize(
    "text",
    [
        '[tls]\nlisten = ["*:995"]',
        '[tls]\nlegacy_listen = ["*:9950"]',
        '[delivery]\nlmtp = "lmtp"',
        '[delivery]\nsmtp = "127.0.0.1:25"',
        '[auth_socket]\npath = "auth"',
    ],
)
def test_server_for_other_programs_alone(tmp_path: Path, text: str) -> None:
    """A server may have an address for TLS, mail or logins alone."""
    (tmp_path / "restante.toml").write_text(f"{NOWHERE}{text}\n")
    assert load(tmp_path / "restante.toml", {}).server.listen == ()


def test_introspection_is_no_file(tmp_path: Path) -> None:
    """Introspection requires a URL; a file is an error."""
    (problem,) = problems(tmp_path, f'{LEAST}[tokens]\nintrospection = "/etc/keys"\n')
    assert problem.startswith("tokens.introspection: Expected an https URL")


def test_unique_ids_are_own_or_what_dovecot_made(tmp_path: Path) -> None:
    """A format of unique-ids that cannot be followed is an error."""
    said = problems(tmp_path, LEAST.replace("[acc", 'unique_ids = "%v"\n[acc'))
    assert len(said) == 1
    assert said[0].startswith("mail.unique_ids: Expected what Dovecot's pop3_uidl_format is")
    file = tmp_path / "restante.toml"
    file.write_text(LEAST.replace("[acc", 'unique_ids = "%08Xu%08Xv"\n[acc'))
    assert load(file, {}).mail.unique_ids == "%08Xu%08Xv"


@pytest.mark.parametrize(
    ("format_", "unique_ids", "accepted"),
    [
        ("mbox", "%v-%u", False),
        ("mbox", "courier", False),
        ("mbox", "x-uidl", True),
        ("maildir", "x-uidl", False),
        ("maildir", "courier", True),
        ("maildir", "%{uid | hex(8)}%{uidvalidity | hex(8)}", True),
    ],
)
def test_each_format_of_mail_has_its_own_unique_ids(
    tmp_path: Path, format_: str, unique_ids: str, *, accepted: bool
) -> None:
    """A format of unique-ids is accepted only for the mail format that has it."""
    file = tmp_path / "restante.toml"
    lines = f'format = "{format_}"\nunique_ids = "{unique_ids}"\n'
    file.write_text(LEAST.replace("[acc", f"{lines}[acc"))
    (tmp_path / "mail").mkdir()
    (tmp_path / "users").touch()
    refused = pytest.raises(ConfigError, match=r"mail\.unique_ids: .*requires")
    log, writer = event_log.configure_log("text")
    try:
        with contextlib.nullcontext() if accepted else refused:
            components.build_context(load(file, {}), log)
    finally:
        writer.close()


def test_proxies_of_mapped_addresses(tmp_path: Path) -> None:
    """A network of mapped IPv4 addresses is that of IPv4, since connections have such addresses."""
    file = tmp_path / "restante.toml"
    mapped = '["::ffff:192.0.2.0/120", "2001:db8::/32"]'
    file.write_text(f"[server]\nproxies = {mapped}\nxclient_proxies = {mapped}\n{LEAST}")
    (listen,), _ = components.build_listeners(load(file, {"server": {"listen": ["*:0"]}}), LOG)
    expected = ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")
    assert listen.policy.proxies == listen.policy.xclient_proxies == expected


def test_tls_without_ipv6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without IPv6, the ports of TLS are without [::1], too."""

    def fail(*_: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "no such address")

    made = trustme.CA().issue_cert("localhost")
    made.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    both = f'"{tmp_path / "both.pem"}"'
    listen = '["127.0.0.1:995", "[::1]:995"]'
    tls = f"[tls]\nlisten = {listen}\ncertificates = [{{ certificate = {both}, key = {both} }}]\n"
    file = tmp_path / "restante.toml"
    file.write_text(f"{LEAST}{tls}")
    monkeypatch.setattr(socket.socket, "bind", fail, raising=False)
    listeners, _ = components.build_listeners(load(file, {}), LOG)
    assert [str(one.address) for one in listeners] == ["127.0.0.1:110", "127.0.0.1:995"]


def test_quota_settings_of_other_formats(tmp_path: Path) -> None:
    """A file of Maildir++ requires Maildirs, and a cluster has each default quota once."""
    users = '[accounts]\nusers = "users"\n'
    mbox = '[mail]\nfolder = "mail"\nformat = "mbox"\nmaildirsize = "create"\n'
    problem = 'mail.maildirsize: requires format = "maildir"; omit it'
    assert problems(tmp_path, mbox + users) == [problem]
    cluster = '[mail]\nformat = "cluster"\nquota_octets = 5\n[cluster]\nquota_octets = 5\n'
    problem = "cluster.quota_octets: mail.quota_octets is the same; omit one of them"
    assert problems(tmp_path, f'{cluster}postgresql_dsn_file = "dsn"\n{users}') == [problem]


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (f"{LEAST}[server]\nworkers = 1\n", True),
        (f"{LEAST}[server]\nworkers = 2\n", False),
        (f'{LEAST}[server]\nworkers = 2\n[control]\nfolder = "c"\n', True),
        (f"{CLUSTER}[server]\nworkers = 2\n", True),
    ],
)
def test_take_over(tmp_path: Path, text: str, *, accepted: bool) -> None:
    """Workers end the sessions of each other by the sockets of `control.folder`."""
    text += "[login]\ntake_over = true\n"
    if accepted:
        (tmp_path / "restante.toml").write_text(text)
        load(tmp_path / "restante.toml", {})
    else:
        (problem,) = problems(tmp_path, text)
        assert problem.startswith("login.take_over: requires control.folder")


def test_workers_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Linux has what several workers require."""
    monkeypatch.setattr(sys, "platform", "darwin")
    (problem,) = problems(tmp_path, f"{LEAST}[server]\nworkers = 2\n")
    assert problem == "server.workers: more than one worker is supported on Linux only"
    (tmp_path / "restante.toml").write_text(f"{LEAST}[server]\nworkers = 1\n")
    load(tmp_path / "restante.toml", {})


NO_FOLDER = "mail.junk: Expected a folder of a Maildir, such as \".Junk\" (it is '{}')"
NO_MBOX = 'mail.junk: Expected the path of an mbox, such as "junk/{user}"'


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('junk = "new"', NO_FOLDER.format("new")),
        ('junk = ".."', NO_FOLDER.format("..")),
        ('junk = ".a/b"', NO_FOLDER.format(".a/b")),
        ('junk = "Junk"\nformat = "mbox"', NO_MBOX),
    ],
)
def test_invalid_junk(tmp_path: Path, lines: str, problem: str) -> None:
    """A junk maildrop is a folder of the Maildir, or has a path of its own."""
    text = f'[mail]\nfolder = "mail"\n{lines}\n[accounts]\nusers = "users"\n'
    assert problems(tmp_path, text) == [problem]


def test_junk_in_the_place_of_a_user(tmp_path: Path) -> None:
    """The junk maildrop of an account is never the maildrop of another one."""
    file = tmp_path / "restante.toml"
    junk = 'format = "mbox"\njunk = "{user}.junk"\n'
    file.write_text(LEAST.replace("[acc", f"{junk}[acc"))
    (tmp_path / "mail").mkdir()
    with pytest.raises(ConfigError, match="another user's maildrop could have"):
        backends.build_layout(load(file, {}))


ELSEWHERE = {
    "pam": 'pam = "restante"',
    "postgresql": 'postgresql_dsn_file = "dsn"\npostgresql_query = "SELECT 1"',
}


@pytest.mark.parametrize("source", ELSEWHERE)
@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('scram = "always"', "login.scram"),
        ("apop = true", "login.apop"),
        ("cram_md5 = true", "login.cram_md5"),
    ],
)
def test_useless_mechanism_not_offered(tmp_path: Path, source: str, line: str, key: str) -> None:
    """policy/scram-keys: clients that prefer a mechanism without keys would fail with the right
    password.
    """
    text = f'[mail]\nfolder = "mail"\n[accounts]\n{ELSEWHERE[source]}\n[login]\n{line}\n'
    needed = "requires accounts in a file (accounts.users); omit it"
    assert problems(tmp_path, text) == [f"{key}: {needed}"]


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("tls", 'client_ca = "ca.pem"'),
        ("tokens", 'jwks = "keys.json"'),
        ("tokens", 'introspection = "https://issuer.example/introspect"'),
    ],
)
def test_proof_without_a_password(tmp_path: Path, section: str, line: str) -> None:
    """A certificate or token requires a source with names; a bind to a directory has none."""
    rest = f"[{section}]\n{line}\n"
    pam = f'[mail]\nfolder = "mail"\n[accounts]\n{ELSEWHERE["pam"]}\n'
    (tmp_path / "pam.toml").write_text(pam + rest)
    load(tmp_path / "pam.toml", {})
    bind = '[mail]\nfolder = "mail"\n[accounts]\nldap = "ldap://127.0.0.1"\n'
    user_dn = '[ldap]\nuser_dn = "uid={user},dc=x"\n'
    (problem,) = problems(tmp_path, bind + user_dn + rest)
    key = line.partition(" ")[0]
    assert problem.startswith(f"{section}.{key}: requires ldap.base")


LDAP = '[mail]\nfolder = "mail"\n[accounts]\nldap = "{uris}"\n[ldap]\n'


@pytest.mark.parametrize(
    "uris",
    [
        "",
        " ",
        "ldap.example.com",
        "ldap://a,ldap://b",
        "ldap://a, ldap://b",
        "URL:ldap://a",
        "<ldap://a>",
    ],
)
def test_directory_addresses(tmp_path: Path, uris: str) -> None:
    """Each address of a directory is a URI whose host shows whether TLS is required."""
    (problem,) = problems(tmp_path, LDAP.format(uris=uris) + 'base = "dc=x"\n')
    assert problem.startswith('accounts.ldap: Expected "ldap://HOST"')


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("", "base: missing; set the DN below which the accounts are"),
        (
            'base = "dc=x"\nfilter = "(uid=ann)"',
            "filter: it has no {user}, which stands for the name",
        ),
        (
            'base = "dc=x"\nmail_filter = "(uid=ann)"',
            "mail_filter: it has no {user}, which stands for the name",
        ),
        ('user_dn = "uid=ann,dc=x"', "user_dn: it has no {user}, which stands for the name"),
        (
            'base = "dc=x"\nbind_dn = "cn=s"',
            "bind_password_file: missing; without a password, a bind is anonymous",
        ),
    ],
)
def test_directory_settings(tmp_path: Path, lines: str, problem: str) -> None:
    """A setting with which no search or bind could find the account is a mistake."""
    uris = "ldap://a ldaps://b:636 ldapi://%2Frun%2Fslapd"
    assert problems(tmp_path, LDAP.format(uris=uris) + f"{lines}\n") == [f"ldap.{problem}"]


@pytest.mark.parametrize("domain", ["", "Example.com", "@example.com", "a b", "a:b", "a/b"])
def test_default_domain(tmp_path: Path, domain: str) -> None:
    """A default domain is a domain in lower case, and PAM's names have none."""
    (problem,) = problems(tmp_path, LEAST + f'[login]\ndefault_domain = "{domain}"\n')
    assert problem.startswith("login.default_domain: Expected a domain in lower case")
    pam = '[mail]\nfolder = "."\n[accounts]\npam = "x"\n[login]\ndefault_domain = "example.com"\n'
    assert "no domain" in problems(tmp_path, pam)[0]


@pytest.mark.parametrize(
    ("section", "key", "meant"),
    [
        ("server", "login_delay", "did you mean login.delay?"),  # its name before 0.1.0
        ("mail", "lmtp", "did you mean delivery.lmtp?"),
        ("log", "quota_octets", "expected one of format"),  # several sections have it
    ],
)
def test_key_of_another_section(tmp_path: Path, section: str, key: str, meant: str) -> None:
    """A key that belongs to another section, or had another name, is an error with its place."""
    file = tmp_path / "restante.toml"
    file.write_text(f"[{section}]\n{key} = 1\n")
    with pytest.raises(ConfigError) as raised:
        load(file, {})
    assert f"{file}: {section}.{key}: unknown; {meant}" in raised.value.problems
