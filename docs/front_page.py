"""Makes the pictures of the front page from real output: python docs/front_page.py [NAME ...].

`check` runs a server at 192.0.2.25 in a network namespace of its own, which requires root and
Linux. `session` types into `pop3 shell` beside `pop3 serve --demo`. `benchmark` draws the numbers
of docs/reference/benchmark.md. Nothing is edited afterwards.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
FIGURES = DOCS / "figures"
POP3 = str(Path(sys.executable).with_name("pop3"))
WIDTH = "80"  # columns

CONFIGURATION = """
[mail]
folder = "mail"
[accounts]
users = "users"
[server]
listen = ["127.0.0.1:110"]
[tls]
listen = ["192.0.2.25:995"]
certificates = [{certificate = "chain.pem", key = "key.pem"}]
"""
CHECK = f"""
set -e
ip link set lo up
ip address add 192.0.2.25/32 dev lo
printf '127.0.0.1 localhost\\n192.0.2.25 mail.example.com\\n' > hosts
mount --bind hosts /etc/hosts
mkdir mail
echo demo-password | {POP3} user add ann --users users --password-stdin >&2
{POP3} serve --config restante.toml 2> log &
until grep -qs 192.0.2.25:995 log; do kill -0 $!; sleep 0.1; done
{POP3} check pop3s://ann@mail.example.com || true
kill $!
"""
SESSION = ("ls", "UIDL 2", "rm 5", "STAT", "rset", "quit")
BARS = "poll: login, STAT, UIDL"
TITLE = "Polls a second on one core (login, STAT, UIDL, QUIT); longer is better"


def check() -> str:
    """Return what `pop3 check` prints about a server whose certificate has another name."""
    import trustme

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        authority = trustme.CA(organization_unit_name="Example CA")
        certificate = authority.issue_cert(
            "www.example.com",
            "example.com",
            common_name="www.example.com",
            not_after=dt.datetime.now(dt.UTC) + dt.timedelta(days=60),
        )
        authority.cert_pem.write_to_path(str(home / "ca.pem"))
        certificate.private_key_pem.write_to_path(str(home / "key.pem"))
        for part in certificate.cert_chain_pems:
            part.write_to_path(str(home / "chain.pem"), append=True)
        (home / "restante.toml").write_text(CONFIGURATION)
        environment = os.environ | {
            "SSL_CERT_FILE": "ca.pem", "POP3_PASSWORD": "demo-password", "COLUMNS": WIDTH,
        }  # fmt: skip
        command = ["unshare", "--net", "--mount", "bash", "-c", CHECK]
        done = subprocess.run(  # noqa: S603  # its own command
            command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    return f"$ pop3 check pop3s://ann@mail.example.com\n{done.stdout}"


def session() -> str:
    """Return what a session in `pop3 shell` looks like on the terminal."""
    import pexpect

    url = "pop3://info@example.com@127.0.0.1:1110"
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"TERM": "dumb", "POP3_PASSWORD": "restante", "HOME": folder}
        server = pexpect.spawn(POP3, ["serve", "--demo", "demo"], cwd=folder)
        server.expect("event=listening address=127.0.0.1:1995")
        shell = pexpect.spawn(
            POP3, [url, "--cacert", "demo/certificate.pem"], cwd=folder, env=environment,
            encoding="utf-8", dimensions=(50, int(WIDTH)),
        )  # fmt: skip
        shown = []
        for line in SESSION:
            shell.expect(r"pop3[^>\n]*> ?$")
            shown.append(f"{shell.before}{shell.after}")
            shell.sendline(line)
        shell.expect(pexpect.EOF)
        shown.append(f"{shell.before}")
        server.terminate()
    return f"$ pop3 {url} --cacert demo/certificate.pem\n{_cleaned(''.join(shown))}"


def _cleaned(text: str) -> str:
    """Return the text of a terminal without its control sequences."""
    text = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", text).replace("\r", "")
    text = re.sub(r"(pop3[^>\n]*> )(.+)\n\2\n", r"\1\2\n", text)  # typed, and drawn again
    return re.sub(r"\n\n(?=  )", "\n", text)


def benchmark() -> str:
    """Return bars of how many polls a second each server answers, as SVG."""
    page = (DOCS / "reference" / "benchmark.md").read_text()
    row = rf"^\| {re.escape(BARS)} \| sessions/s \| ([^|]+) \| (\d[^ ]*) "
    rows = re.findall(row, page, re.MULTILINE)
    bars = [(name, float(number)) for name, number in rows if name != "canned"]
    most = max(number for _, number in bars)
    height = 44 + 26 * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}">',
        "<style>text { font: 13px sans-serif } .end { text-anchor: end }</style>",
        f'<rect width="640" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="22">{TITLE}</text>',
    ]
    for place, (name, number) in enumerate(bars):
        top = 36 + 26 * place
        fill = "#c2410c" if name == "Restante" else "#9ca3af"
        length = 420 * number / most
        parts += [
            f'<text x="150" y="{top + 14}" class="end">{name}</text>',
            f'<rect x="158" y="{top}" width="{length:.1f}" height="18" fill="{fill}"/>',
            f'<text x="{164 + length:.1f}" y="{top + 14}">{number:.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


PICTURES = {"check.txt": check, "session.txt": session, "benchmark.svg": benchmark}

if __name__ == "__main__":
    FIGURES.mkdir(exist_ok=True)
    for name, make in PICTURES.items():
        if name.split(".")[0] in sys.argv[1:] or not sys.argv[1:]:
            (FIGURES / name).write_text(make())
