"""Polls with accounts in a file beside polls with accounts in PostgreSQL.

`make bench-accounts` prints the processor time of a poll (USER, PASS, STAT, LIST, UIDL, QUIT) in
the server and in PostgreSQL. The passwords are argon2id, as `pop3 user` makes them. The servers
take turns.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import load
import peers
import servers
from place import OURS, Place
from sessions import SMALL, warm_up

import mail
from restante.auth.passwords.hashing import hash_password
from restante.protocol.secret import Secret
from support.postgresql import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Running

ROUNDS = 7
SECONDS = 1.0  # of a round
ONE = "SELECT password FROM accounts WHERE address = $1"
ALL = "SELECT address AS login, password FROM accounts WHERE address = ANY($1)"


def main() -> None:
    """Measure, and print the table."""
    programs = peers.BUILD / "benchmarks"
    load.build(programs)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        place = Place(Path(name), programs, short=False)
        place.folder.chmod(0o755)  # PostgreSQL runs under another name
        database = stack.enter_context(_database(place.folder / "database"))
        running = _start(place, stack, database)
        backend = servers.Running("PostgreSQL", 0, database.pid)
        warm_up(place, [each for each in running.values() if "hashed" not in each.name], SMALL)
        costs: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for _ in range(ROUNDS):
            for what, server in running.items():
                costs[what].append(_poll(place, server, backend))
        _print(costs)


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[Database]:
    folder.mkdir()
    database = Database(folder)
    database.start()
    stored = hash_password(Secret(mail.PASSWORD.encode()))
    database.execute(
        "CREATE TABLE accounts (address text PRIMARY KEY, password text);"
        f" INSERT INTO accounts SELECT 'u' || n, '{stored}'"
        " FROM generate_series(0, 99999) AS n; ANALYZE accounts"
    )
    yield database
    database.stop()


def _start(place: Place, stack: contextlib.ExitStack, database: Database) -> dict[str, Running]:
    """Return the servers by the way of their accounts; each has mail of its own."""
    users, dsn = place.folder / "users", place.folder / "dsn"
    stored = hash_password(Secret(mail.PASSWORD.encode()))
    users.write_text("".join(f"u{number}:{stored}\n" for number in range(SMALL["users"])))
    users.chmod(0o600)
    dsn.write_bytes(database.dsn.reveal())
    source = f'postgresql_dsn_file = "{dsn}"\npostgresql_query = '
    sections = {
        "a file": f'users = "{users}"',
        "PostgreSQL, a query for one name": f'{source}"{ONE}"',
        "PostgreSQL, a query for all names": f'{source}"{ALL}"',
        "PostgreSQL, each login hashed": f'{source}"{ONE}"\nremember = 0',
    }
    running = {}
    for number, (what, section) in enumerate(sections.items()):
        box = place.folder / f"mail-{number}"
        mail.maildirs(box, **SMALL, owner=place.owner(OURS))
        home = place.folder / f"restante-{number}"
        started = servers.restante(home, box, {place.server_core}, accounts=section)
        running[what] = stack.enter_context(started)
    return running


def _poll(place: Place, server: Running, backend: Running) -> tuple[float, float]:
    """Return the microseconds of the processor that a poll takes: the server's, PostgreSQL's."""
    before = backend.cpu()
    found = place.load(
        server, "poll", users=SMALL["users"], messages=SMALL["messages"], connections=8,
        seconds=SECONDS, spin=0,
    )  # fmt: skip
    each = 1e6 / found.sessions
    return found.server_cpu * each, (backend.cpu() - before) * each


def _print(costs: dict[str, list[tuple[float, float]]]) -> None:
    print(f"{'microseconds of a poll, accounts in':<36}  {'server':>7}  {'PostgreSQL':>10}  ratio")
    base = statistics.median(server for server, _ in costs["a file"])
    for what, pairs in costs.items():
        server, backend = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"{what:<36}  {server:>7.0f}  {backend:>10.0f}  {server / base:>5.2f}")


if __name__ == "__main__":
    main()
