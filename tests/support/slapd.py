"""An OpenLDAP server that a test starts."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

from support.authority import GOOD, key_of
from support.live import wait_until
from support.programs import need

SCHEMAS = Path("/etc/ldap/schema")
MODULES = Path("/usr/lib/ldap")

CONFIGURATION = """\
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
moduleload ppolicy
sizelimit 500
TLSCertificateFile {folder}/chain.pem
TLSCertificateKeyFile {folder}/key.pem
TLSCACertificateFile {folder}/chain.pem
database mdb
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
rootpw admin
directory {folder}/data
dbnosync
access to attrs=userPassword by anonymous auth
access to dn.subtree="ou=people,dc=example,dc=com" by dn="cn=restante,dc=example,dc=com" read
access to * by anonymous auth
limits dn="cn=restante,dc=example,dc=com" size=unlimited
overlay ppolicy
ppolicy_use_lockout
ppolicy_default "cn=policy,dc=example,dc=com"
"""

BASE = "ou=people,dc=example,dc=com"
SERVICE = "cn=restante,dc=example,dc=com"

LDIF = f"""\
dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: {SERVICE}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: restante
userPassword: hunter2

dn: cn=policy,dc=example,dc=com
objectClass: organizationalRole
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdMustChange: TRUE

dn: cn=strict,dc=example,dc=com
objectClass: organizationalRole
objectClass: pwdPolicy
cn: strict
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 3

"""

PERSON = f"""\
dn: uid={{0}},{BASE}
objectClass: inetOrgPerson
uid: {{0}}
cn: {{0}}
sn: {{0}}
mail: {{0}}@example.com
userPassword: secret
"""
"""LDIF of a user, by name."""


def need_slapd() -> str:
    """Return where slapd is, or skip the test."""
    need("ldapmodify")
    return need("slapd")


class Slapd:
    """An OpenLDAP server of its own, on a socket in its folder and two ports of 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir()
        (folder / "chain.pem").write_bytes(GOOD.pem)
        (folder / "key.pem").write_bytes(key_of(GOOD))
        self._configuration = folder / "slapd.conf"
        self._configuration.write_text(
            CONFIGURATION.format(schemas=SCHEMAS, modules=MODULES, folder=folder)
        )
        with socket.socket() as free, socket.socket() as other:
            free.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
            self.tls_port: int = other.getsockname()[1]

    @property
    def uri(self) -> str:
        """Its Unix socket."""
        return f"ldapi://{quote(str(self._folder / 'socket'), safe='')}"

    def add(self, ldif: str) -> None:
        """Add entries, also while it does not run."""
        command = [need("slapadd"), "-q", "-f", str(self._configuration)]
        subprocess.run(command, input=ldif.encode(), check=True, capture_output=True)

    def modify(self, ldif: str) -> None:
        """Change entries while it runs."""
        command = ["ldapmodify", "-H", self.uri, "-D", "cn=admin,dc=example,dc=com", "-w", "admin"]
        subprocess.run(command, input=ldif.encode(), check=True, capture_output=True)

    def start(self) -> None:
        tls = f"ldaps://127.0.0.1:{self.tls_port}"
        uris = f"{self.uri} ldap://127.0.0.1:{self.port} {tls}"
        command = [need_slapd(), "-d", "0", "-f", str(self._configuration), "-h", uris]
        silent = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=silent, stderr=silent)
        wait_until(self._accepts)

    def stop(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait(30)

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
