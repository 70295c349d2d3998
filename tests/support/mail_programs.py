"""Mail programs for `pop3 misbehave score`, each with a command that fetches and deletes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NODE_PACKAGES = Path(__file__).parents[2] / "build/npm/node_modules"  # made by `make build/npm`

PLACE = ("{host}", "{port}", "{user}", "{password}", "{out}")
IMPLICIT_TLS = ("security={tls:tls}", "cafile={cafile}")
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
exec script -qec "stty rows 24 columns 80; exec mutt -n -F rc -f '$5'" /dev/null
"""

FDM = """
case $6 in
    *=stls) kind=pop3 more=starttls ;;
    *=tls) kind=pop3s ;;
    *) kind=pop3 ;;
esac
umask 077
export SSL_CERT_FILE="${7#cafile=}"
cat >rc <<END
set timeout 4
set verify-certificates
set lock-file "$PWD/lock"
account "a" $kind server "$1" port $2 user "$3" pass "$4" $more
action "deliver" maildir "$5"
match all action "deliver"
END
[ "$(id -u)" != 0 ] || as_user="unshare --user --map-user=65534"
exec $as_user fdm -f rc fetch
"""

NET_POP = """
require "net/pop"
host, port, user, password, out, security, cafile = ARGV
box = Net::POP3.new(host, Integer(port))
box.open_timeout = box.read_timeout = 4
box.enable_ssl(ca_file: cafile.split("=", 2)[1]) if security.end_with?("=tls")
box.start(user, password) do
  box.mails.each do |mail|
    File.binwrite(out + "/new/" + mail.number.to_s, mail.pop)
    mail.delete
  end
end
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
class MailProgram:
    """A program, the command that prints its version, and the one that fetches and deletes.

    Attributes:
        needs: the programs without which it cannot run.
        package: its folder in NODE_PACKAGES, for a client of npm.
    """

    name: str
    version: Sequence[str]
    command: Sequence[str]
    needs: Sequence[str] = ()
    package: str = ""

    def is_installed(self) -> bool:
        """Return whether all that it requires is on this machine."""
        packages = not self.package or (NODE_PACKAGES / self.package).is_dir()
        return packages and all(map(shutil.which, self.needs))

    def read_version(self) -> str:
        """Return the version that is on this machine, "?" if it is not known."""
        printed = subprocess.run(self.version, capture_output=True, text=True, check=False)
        return next(iter(re.findall(r"\d+\.\d[.\w]*", printed.stdout)), "?")


def _shell(script: str, *security: str) -> tuple[str, ...]:
    """Return the command of a shell script with the place of the server as its arguments."""
    return ("/bin/sh", "-c", script, "sh", *PLACE, *security)


def _of_npm(package: str, script: str) -> MailProgram:
    """Return a script that uses a package of npm."""
    return MailProgram(
        f"{package}, a script",
        ("node", "-p", f"require('{NODE_PACKAGES / package}/package.json').version"),
        ("env", f"NODE_PATH={NODE_PACKAGES}", "node", "-e", script, *PLACE, *IMPLICIT_TLS),
        ("node",),
        package,
    )


MAIL_PROGRAMS = (
    MailProgram("mpop", ("mpop", "--version"), _shell(MPOP, *ANY_TLS), ("mpop",)),
    MailProgram("fetchmail", ("fetchmail", "-V"), _shell(FETCHMAIL, *ANY_TLS), ("fetchmail",)),
    MailProgram(
        "getmail6", ("getmail", "--version"), _shell(GETMAIL, *IMPLICIT_TLS), ("getmail",)
    ),
    MailProgram(
        "poplib, a script",
        (sys.executable, "--version"),
        (sys.executable, "-c", POPLIB, *PLACE, *ANY_TLS),
    ),
    MailProgram(
        "Net::POP3, a script",
        ("perl", "-MNet::POP3", "-e", "print $Net::POP3::VERSION"),
        ("perl", "-e", NET_POP3, *PLACE, *ANY_TLS),
        ("perl",),
    ),
    MailProgram("curl, a script", ("curl", "--version"), _shell(CURL, *ANY_TLS), ("curl",)),
    MailProgram("mutt", ("mutt", "-v"), _shell(MUTT, *ANY_TLS), ("mutt", "script")),
    MailProgram("fdm", ("dpkg-query", "-W", "fdm"), _shell(FDM, *ANY_TLS), ("fdm",)),
    MailProgram(
        "net-pop, a script",
        ("ruby", "-rnet/pop", "-e", "puts Net::POP3::VERSION"),
        ("ruby", "-e", NET_POP, *PLACE, *IMPLICIT_TLS),
        ("ruby",),
    ),
    _of_npm("node-pop3", NODE_POP3),
    _of_npm("yapople", YAPOPLE),
)  # fmt: skip
