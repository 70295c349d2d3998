"""`pop3 store check`, `pop3 store sweep` and `pop3 store status`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import schema
from restante.storage.cluster.bodies import ObjectBodies, new_name
from support.cluster import Cluster, execute
from support.command import pop3

LETTER = b"Subject: a\r\n\r\nhello\r\n"


@dataclass
class Installed:
    """A configuration with a database and a folder for bodies."""

    file: Path
    objects: Path
    dsn: Secret

    def sql(self, text: str, *arguments: object) -> None:
        asyncio.run(execute(self.dsn, text, *arguments))

    def put(self) -> str:
        name = new_name()
        asyncio.run(ObjectBodies(str(self.objects), None).put(name, LETTER, owner="ann"))
        return name

    def deliver(self) -> str:
        name = self.put()
        self.sql("select deliver_one('ann', $1, 21, 21, $1, null)", name)
        return name


@pytest.fixture
def installed(cluster: Cluster, tmp_path: Path) -> Iterator[Installed]:
    dsn = cluster.new_database()
    (tmp_path / "dsn").write_bytes(dsn.reveal())
    (tmp_path / "users").write_text("")
    objects = tmp_path / "objects"
    objects.mkdir()
    file = tmp_path / "cluster.toml"
    file.write_text(
        '[mail]\nformat = "cluster"\n[cluster]\npostgresql_dsn_file = "dsn"\n'
        f'objects = "{objects}"\n[accounts]\nusers = "users"\n'
    )
    yield Installed(file, objects, dsn)
    cluster.drop(dsn)


def test_a_check_of_sound_mail(installed: Installed) -> None:
    """Where everything agrees, the exit code is 0."""
    installed.deliver()
    done = pop3("store", "check", "-c", str(installed.file), "--all")
    assert (done.code, done.out, done.err) == (0, "Everything agrees.\n", "")


def test_a_check_finds_and_repairs(installed: Installed) -> None:
    """The exit code is 1 while something differs, and 0 after the repair."""
    installed.deliver()
    installed.sql("update box set messages = 2")
    text = "ann: the box counts 2 messages and 21 octets, and has 1 and 21"
    found = pop3("store", "check", "-c", str(installed.file))
    hint = "--repair repairs what it can without a loss."
    assert (found.code, found.out) == (1, f"{text}\n1 problem. {hint}\n")
    repaired = pop3("store", "check", "-c", str(installed.file), "--repair")
    assert (repaired.code, repaired.out) == (0, f"{text} (repaired)\n1 problem, 1 repaired.\n")
    assert pop3("store", "check", "-c", str(installed.file)).code == 0


def test_a_check_soon_after_a_failover(installed: Installed) -> None:
    """Bodies that are too young for a verdict are named, so that the check is run again."""
    installed.put()
    done = pop3("store", "check", "-c", str(installed.file))
    assert (done.code, done.out) == (0, "Everything agrees.\n")
    assert done.err.startswith("Left out: bodies of the last 15 minutes without a message: 1; ")


def test_a_check_as_json(installed: Installed) -> None:
    """Each problem is a line of JSON, and sound mail has none."""
    assert pop3("store", "check", "-c", str(installed.file), "--json").out == ""
    name = installed.deliver()
    (installed.objects / name[:3] / name).unlink()
    done = pop3("store", "check", "-c", str(installed.file), "--json", "--repair")
    problem = json.loads(done.out)
    assert (problem["kind"], problem["owner"]) == ("body_missing", "ann")
    assert (problem["repaired"], done.code) == (False, 1)


def test_a_sweep(installed: Installed) -> None:
    """The command deletes what is due, and counts the rest."""
    kept, removed, later = (installed.deliver() for _ in range(3))
    installed.sql("delete from message where object = any ($1)", [removed, later])
    installed.sql(
        "insert into removed (object, since) values ($1, now() - '31 days'::interval)", removed
    )
    installed.sql("insert into removed (object) values ($1)", later)
    done = pop3("store", "sweep", "-c", str(installed.file))
    assert done.code == 0
    assert done.out.splitlines() == [
        "Bodies deleted: 1",
        "Bodies listed: 2; marked, since no message has them: 0",
        "Bodies that wait for the end of their grace: 1",
    ]
    again = pop3("store", "sweep", "-c", str(installed.file), "--json")
    counts = {"deleted": 0, "listed": 2, "marked": 0, "waiting": 1}
    assert json.loads(again.out) == {"database": "first", **counts}
    left = {path.name for path in installed.objects.rglob("*") if path.is_file()}
    assert left == {kept, later, "restante-cluster"}


def test_bodies_of_another_cluster(installed: Installed) -> None:
    """Sweep and check refuse a folder that belongs to another database, with what to do."""
    assert pop3("store", "sweep", "-c", str(installed.file)).code == 0
    installed.sql("update cluster set id = gen_random_uuid()")
    for word in ("sweep", "check"):
        done = pop3("store", word, "-c", str(installed.file))
        assert (done.code, done.out) == (1, "")
        assert f"{installed.objects} belongs to another cluster" in done.err


def test_nothing_to_sweep(installed: Installed) -> None:
    """Without an object store, the command says that there is nothing to do."""
    text = installed.file.read_text()
    installed.file.write_text(re.sub("objects = .*\n", "", text))
    done = pop3("store", "sweep", "-c", str(installed.file))
    assert done.code == 1
    assert "without cluster.objects, all bodies are in the database" in done.err


def test_a_folder_that_is_missing(installed: Installed) -> None:
    """A folder for bodies that does not exist is an error of the configuration."""
    os.rmdir(installed.objects)
    done = pop3("store", "check", "-c", str(installed.file))
    assert done.code == 2
    assert f"cluster.objects: {installed.objects} does not exist" in done.err


def test_a_status(installed: Installed) -> None:
    """The command shows nodes, mail and replicas."""
    installed.deliver()
    installed.deliver()
    node = uuid.uuid4()
    installed.sql("insert into node values ($1, now() + '1 hour'::interval, 'node1', 7)", node)
    installed.sql("insert into node values (gen_random_uuid(), now() - '9 s'::interval)")
    installed.sql("insert into lease select id, gen_random_uuid(), $1, now() from box", node)
    installed.sql("insert into removed (object, since) values ('a', now() - '36 hours'::interval)")
    done = pop3("store", "status", "-c", str(installed.file))
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0].endswith(f", tables of version {schema.newest_version()}")
    assert lines[1].startswith("Commits do not wait for a standby")
    assert lines[2:5] == [
        "1 maildrop: 2 messages, 42 B",
        "Nodes alive: 1",
        "  node1, process 7: 1 maildrop in use",
    ]
    assert re.fullmatch(r"  [-0-9a-f]{36}: dead for \d+ s", lines[5])
    assert lines[6:] == ["Bodies that wait for the sweep: 1, the first for 1.5 days"]


def test_a_status_as_json(installed: Installed) -> None:
    """The state can be read by programs."""
    done = pop3("store", "status", "-c", str(installed.file), "--json")
    status = json.loads(done.out)
    assert status["tables"] == schema.newest_version()
    assert (status["boxes"], status["messages"], status["octets"]) == (0, 0, 0)
    assert (status["nodes"], status["replicas"], status["synchronous"]) == ([], [], False)
    assert (status["waiting"], status["oldest"], status["listed"]) == (0, None, None)


def test_each_database_has_its_turn(installed: Installed, cluster: Cluster) -> None:
    """With shards, each command handles each database, also after one that is down."""
    second = cluster.new_database()
    folder = installed.file.parent
    (folder / "down").write_text("postgresql://ann:hunter2@127.0.0.1:1/mail")
    (folder / "second").write_bytes(second.reveal())
    with installed.file.open("a") as file:
        file.write('[cluster.shards.down]\npostgresql_dsn_file = "down"\n')
        file.write('[cluster.shards.second]\npostgresql_dsn_file = "second"\n')
    asyncio.run(execute(second, "insert into box (owner, messages) values ('bob', 1)"))
    done = pop3("store", "status", "-c", str(installed.file), "--json")
    assert done.code == 1
    assert [json.loads(line)["database"] for line in done.out.splitlines()] == ["first", "second"]
    assert "Error: database down: PostgreSQL" in done.err
    assert "hunter2" not in done.err
    shown = pop3("store", "status", "-c", str(installed.file))
    headings = [line for line in shown.out.splitlines() if line.startswith("Database ")]
    assert headings == ["Database first:", "Database second:"]
    found = pop3("store", "check", "-c", str(installed.file), "--json")
    problem = json.loads(found.out)
    assert (problem["database"], problem["owner"], found.code) == ("second", "bob", 1)
    cluster.drop(second)


def test_init_tries_the_object_store(installed: Installed) -> None:
    """The command warns of what is wrong with the databases and the place for bodies."""
    assert pop3("store", "sweep", "-c", str(installed.file)).code == 0
    sound = pop3("store", "init", "-c", str(installed.file))
    assert sound.code == 0
    assert "Warning: PostgreSQL has no synchronous standby" in sound.err
    assert "object" not in sound.err
    installed.sql("update cluster set id = gen_random_uuid()")
    done = pop3("store", "init", "-c", str(installed.file))
    assert f"Warning: {installed.objects} belongs to another cluster" in done.err
    assert done.code == 0
