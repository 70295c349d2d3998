"""How mail programs behave at servers with one thing wrong: make client-scores.

Each program fetches all mail into a Maildir and deletes it, at every fault of `pop3 misbehave`. The
result goes into docs/reference/client-scores.md. A program that is not installed is left out.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from restante.misbehave import FAULTS
from restante.misbehave.score.client_process import Limits
from restante.misbehave.score.judge import VERDICTS
from restante.misbehave.score.runner import ScoreRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.misbehave.score.judge import Verdict
    from restante.misbehave.score.runner import Card

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "client-scores.md"
LIMITS = Limits(seconds=20)
JOBS = 4
PLACE = ("{host}", "{port}", "{user}", "{password}", "{out}")
STARTTLS = ("security={stls:stls}", "cafile={cafile}")
ANY_TLS = ("security={stls:stls}{tls:tls}", "cafile={cafile}")

MPOP = """
case $6 in
    *=stls) tls="--tls=on --tls-trust-file=${7#cafile=}" ;;
    *=tls) tls="--tls=on --tls-starttls=off --tls-trust-file=${7#cafile=}" ;;
esac
exec mpop --host="$1" --port="$2" --user="$3" --passwordeval="echo $4" --auth=user --timeout=4 \\
    --delivery=maildir,"$5" --uidls-file=uidls $tls
"""

FETCHMAIL = """
case $6 in
    *=stls) tls="sslproto tls1.2+ sslcertck sslcertfile ${7#cafile=} sslcommonname localhost" ;;
    *=tls) tls="ssl sslcertck sslcertfile ${7#cafile=} sslcommonname localhost" ;;
    *) tls="sslproto ''" ;;
esac
umask 077
cat >rc <<END
poll $1 protocol pop3 port $2 timeout 4 user "$3" password "$4" no keep fetchall $tls
    mda "cat >$5/tmp/\\$\\$ && mv $5/tmp/\\$\\$ $5/new/\\$\\$"
END
exec fetchmail --fetchmailrc rc --pidfile pid --nosyslog
"""

GETMAIL = r"""
case $6 in
    *=tls) kind=SimplePOP3SSLRetriever ca="ca_certs = ${7#cafile=}" ;;
    *) kind=SimplePOP3Retriever ;;
esac
mkdir -m 700 getmail
cat >getmail/getmailrc <<END
[retriever]
type = $kind
server = $1
port = $2
username = $3
password = $4
timeout = 4
$ca
[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat >$5/tmp/\$\$ && mv $5/tmp/\$\$ $5/new/\$\$")
allow_root_commands = true
[options]
delete = true
END
exec getmail --getmaildir="$PWD/getmail"
"""

POPLIB = """
import poplib, ssl, sys
host, port, user, password, out, security, cafile = sys.argv[1:]
tls = ssl.create_default_context(cafile=cafile.partition("=")[2] or None)
try:
    if security.endswith("=tls"):
        box = poplib.POP3_SSL(host, int(port), timeout=4, context=tls)
    else:
        box = poplib.POP3(host, int(port), timeout=4)
    if security.endswith("=stls"):
        box.stls(tls)
    box.user(user)
    box.pass_(password)
    for number in range(1, box.stat()[0] + 1):
        message = b"\\n".join(box.retr(number)[1]) + b"\\n"
        with open(out + "/new/" + str(number), "wb") as file:
            file.write(message)
        box.dele(number)
    box.quit()
except (poplib.error_proto, OSError) as error:
    sys.exit(repr(error))
"""

NET_POP3 = """
use Net::POP3;
my ($host, $port, $user, $password, $out, $security, $cafile) = @ARGV;
my %tls = (SSL_ca_file => (split /=/, $cafile, 2)[1], SSL_verify_mode => 1);
my %implicit = $security =~ /=tls$/ ? (SSL => 1, %tls) : ();
my $box = Net::POP3->new($host, Port => $port, Timeout => 4, %implicit) or die "no connection: $@";
if ($security =~ /=stls$/) { $box->starttls(%tls) or die "no TLS" }
defined $box->login($user, $password) or die "no login: " . $box->message;
for my $number (sort { $a <=> $b } keys %{$box->list}) {
    my $lines = $box->get($number) or die "no message: " . $box->message;
    open my $file, ">", "$out/new/$number" or die;
    print $file @$lines;
    close $file or die;
    $box->delete($number) or die "no deletion: " . $box->message;
}
$box->quit or die "no end: " . $box->message;
"""

CURL = """
case $6 in
    *=stls) url=pop3://$1:$2 tls="--ssl-reqd --cacert ${7#cafile=}" ;;
    *=tls) url=pop3s://$1:$2 tls="--cacert ${7#cafile=}" ;;
    *) url=pop3://$1:$2 ;;
esac
set -e
printf 'user = "%s:%s"\\n' "$3" "$4" >login
curl="curl --silent --show-error --max-time 8 --config login $tls"
$curl "$url/" >list
while read -r number size; do
    case $number in [0-9]*) ;; *) continue ;; esac
    $curl "$url/$number" >"$5/tmp/$number"
    mv "$5/tmp/$number" "$5/new/$number"
    done_numbers="$done_numbers $number"
done <list
for number in $(printf '%s\\n' $done_numbers | sort -rn); do
    $curl --request "DELE $number" --head "$url/"
done
"""

MUTT = """
case $6 in
    *=stls) tls='set ssl_force_tls=yes' ;;
    *=tls) s=s tls='set ssl_force_tls=yes' ;;
    *) tls='set ssl_starttls=no ssl_force_tls=no' ;;
esac
mkdir -p "$5/cur"
cat >rc <<END
set folder="$PWD" spoolfile="$5" mbox_type=Maildir header_cache="" record=""
set timeout=4 connect_timeout=4
set ssl_ca_certificates_file="${7#cafile=}" certificate_file="" pop_reconnect=no wait_key=no
set pop_host="pop$s://$3:$4@$1:$2/" pop_delete=yes pop_last=no move=no sleep_time=0
$tls
push "<fetch-mail><exit>"
END
export TERM=vt100 HOME="$PWD"
exec script -qec "mutt -n -F rc -f '$5'" /dev/null
"""

NODE_POP3 = """
const { writeFileSync } = require("fs");
const Pop3Command = require("node-pop3");
const [host, port, user, password, out, security, cafile] = process.argv.slice(1);
const tls = security.endsWith("=tls");
const ca = tls ? require("fs").readFileSync(cafile.split("=")[1]) : undefined;
async function main() {
    const tlsOptions = { ca, servername: host };
    const box = new Pop3Command({ host, port, user, password, tls, tlsOptions, timeout: 4000 });
    for (const [number] of await box.LIST()) {
        writeFileSync(out + "/new/" + number, await box.RETR(number));
        await box.DELE(number);
    }
    await box.QUIT();
}
main().catch((error) => { console.error(error.message); process.exit(1); });
"""

YAPOPLE = """
const { readFileSync, writeFileSync } = require("fs");
const { Client } = require("yapople");
const [hostname, port, username, password, out, security, cafile] = process.argv.slice(1);
const tls = security.endsWith("=tls");
const ca = tls ? readFileSync(cafile.split("=")[1]) : undefined;
setTimeout(() => { console.error("no end in time"); process.exit(1); }, 8000).unref();
async function main() {
    const options = { ca, servername: hostname };
    const box = new Client({ hostname, port, username, password, tls, options });
    await box.connect();
    for (const number of Object.keys(await box.list())) {
        const message = await box.retrieve(Number(number));
        writeFileSync(out + "/new/" + number, message);
        await box.delete(Number(number));
    }
    await box.quit();
}
main().catch((error) => { console.error(error.message); process.exit(1); });
"""


@dataclass(frozen=True)
class Client:
    """A program, its version, and the command that fetches and deletes.

    `needs` are the programs without which it cannot run.
    """

    name: str
    version: Sequence[str]
    command: Sequence[str]
    needs: Sequence[str] = ()


def shell(script: str, *more: str) -> tuple[str, ...]:
    """Return the command of a shell script with the place of the server as its arguments."""
    return ("/bin/sh", "-c", script, "sh", *PLACE, *more)


CLIENTS = (
    Client("mpop", ("mpop", "--version"), shell(MPOP, *ANY_TLS), ("mpop",)),
    Client("fetchmail", ("fetchmail", "-V"), shell(FETCHMAIL, *ANY_TLS), ("fetchmail",)),
    Client(
        "getmail6",
        ("getmail", "--version"),
        shell(GETMAIL, "security={tls:tls}", "cafile={cafile}"),
        ("getmail",),
    ),
    Client(
        "poplib, a script",
        (sys.executable, "--version"),
        (sys.executable, "-c", POPLIB, *PLACE, *ANY_TLS),
    ),
    Client(
        "Net::POP3, a script",
        ("perl", "-MNet::POP3", "-e", "print $Net::POP3::VERSION"),
        ("perl", "-e", NET_POP3, *PLACE, *ANY_TLS),
        ("perl",),
    ),
    Client("curl, a script", ("curl", "--version"), shell(CURL, *ANY_TLS), ("curl",)),
    Client("mutt", ("mutt", "-v"), shell(MUTT, *ANY_TLS), ("mutt", "script")),
    Client(
        "node-pop3, a script",
        ("npm", "ls", "--prefix", "build/npm", "node-pop3"),
        ("node", "-e", NODE_POP3, *PLACE, "security={tls:tls}", "cafile={cafile}"),
        ("node", "npm"),
    ),
    Client(
        "yapople, a script",
        ("npm", "ls", "--prefix", "build/npm", "yapople"),
        ("node", "-e", YAPOPLE, *PLACE, "security={tls:tls}", "cafile={cafile}"),
        ("node", "npm"),
    ),
)  # fmt: skip


def main() -> None:
    """Run all, and write the page, unless one of the installed programs cannot fetch at all."""
    cards: list[tuple[Client, str, Card]] = []
    problems: list[str] = []
    for client in CLIENTS:
        if not all(map(shutil.which, client.needs)):
            print(f"{client.name}: not installed", flush=True)
            continue
        version = subprocess.run(client.version, capture_output=True, text=True, check=False)
        line = next(iter(re.findall(r"\d+\.\d[.\w]*", version.stdout)), "?")
        print(f"{client.name}: {line}", flush=True)
        try:
            card = asyncio.run(ScoreRun(client.command, LIMITS, JOBS).run(FAULTS.values()))
        except ValueError as error:
            print(f"  {error}", flush=True)
            problems.append(f"{client.name}: {error}")
            continue
        print(f"  {card.clean} of {len(card.outcomes)} clean", flush=True)
        cards.append((client, line, card))
    if problems:
        sys.exit("\n".join(("The page was not written.", *problems)))
    PAGE.write_text(page(cards))


def page(cards: Sequence[tuple[Client, str, Card]]) -> str:
    """Return the page."""
    shown: list[Verdict] = [verdict for verdict in VERDICTS if verdict != "clean"]
    rows = "\n".join(
        f"| {client.name} | {card.clean} of {len(card.outcomes)} | "
        + " | ".join(str(card.count(verdict) or "") for verdict in shown)
        + f" | {len(card.skipped) or ''} |"
        for client, _, card in cards
    )
    versions = "\n".join(f"- {client.name}: {line}" for client, line, _ in cards)
    details = "\n\n".join(_details(client, card) for client, _, card in cards)
    meanings = "\n".join(f"| {verdict} | {text} |" for verdict, text in VERDICTS.items())
    return f"""<!-- Written by make client-scores. -->

# How mail programs do

Each program fetched two messages into a Maildir and deleted them, at each of the {len(FAULTS)}
servers that [`pop3 misbehave`](misbehaviours.md) had when this was measured. The time limit was
{LIMITS.seconds:.0f} seconds, and 4 seconds for a reply. `pop3 misbehave score` judges what a run
leaves behind, by its worst verdict. Measured on {datetime.now(UTC).date()}, on a machine with
other work, with

    make client-scores

{versions}

| program | clean | {" | ".join(shown)} | not run |
|---|---|{"---|" * (len(shown) + 1)}
{rows}

"Not run" are faults of TLS that the program does not support. A script is as good as its lines:
they are in `benchmarks/client_scores.py`. mutt runs in a terminal, where it shows errors and asks
about certificates. It always exits with 0, so SILENT and HANG mean less for it. `pop3 fetch` and
the library run at the same faults in the project's tests (`make client-faults`).

| verdict | meaning |
|---|---|
{meanings}

Each row below can be repeated: `pop3 misbehave FAULT` serves that fault, and `pop3 explain FAULT`
describes it.

{details}
"""


def _details(client: Client, card: Card) -> str:
    rows = "\n".join(
        f"| `{outcome.fault.name}` | {outcome.verdict} | {outcome.detail} |".replace("\n", " ")
        for outcome in card.outcomes
        if outcome.findings
    )
    return f"""## {client.name}

| fault | verdict | what happened |
|---|---|---|
{rows}"""


if __name__ == "__main__":
    main()
