"""Tests mirror the source: the tests of restante/a/b.py are tests/a/test_b.py, or in tests/a/b/."""

from __future__ import annotations

import ast
import re
import tomllib
import typing
from pathlib import Path

from faults.boxes import BOXES
from restante.server.config.mail_sections import MailSection

TESTS = Path(__file__).parent.parent
SOURCE = TESTS.parent / "src" / "restante"

LONGEST = 400  # lines of a module

KINDS = {
    "benchmarks", "cluster_demo", "docs", "faults", "fuzz", "golden", "interop", "soak", "support",
    "transcripts",
}  # fmt: skip
"""Folders that test no package of their own."""

ELSEWHERE = {
    "auth/account_rows.py": "auth/sql/test_accounts.py",
    "auth/file/dovecot_fields.py": "auth/file/test_accounts.py",
    "auth/passwords/hash_schemes.py": "auth/passwords/test_hashing.py",
    "auth/junk_accounts.py": "server/connection/test_junk_logins.py",
    "auth/oauth/issuer.py": "auth/oauth/test_tokens.py",
    "auth/ldap/directory.py": "auth/ldap/test_accounts.py",
    "auth/ldap/replies.py": "auth/ldap/test_accounts.py",
    "auth/file/locks.py": "auth/file/test_passwd_file.py",
    "auth/file/mail_location.py": "auth/file/test_passwd_file.py",
    "auth/sql/mysql_address.py": "auth/sql/test_mysql_query.py",
    "auth/file/passwd_entry.py": "auth/file/test_passwd_file.py",
    "auth/file/shadow_dates.py": "auth/file/test_accounts.py",
    "auth/password_only.py": "auth/test_pam.py",
    "auth/sql/postgresql_query.py": "auth/sql/test_accounts.py",
    "auth/reloaded_file.py": "auth/app_passwords/test_file.py",
    "auth/row_locks.py": "auth/sql/test_accounts.py",
    "auth/sql/cluster_app_passwords.py": "auth/sql/test_cluster_logins.py",
    "auth/sql/cluster_locks.py": "auth/sql/test_cluster_lists.py",
    "auth/sql/connections.py": "auth/sql/test_accounts.py",
    "auth/sql/hash_upgrade.py": "auth/file/test_hash_upgrade.py",
    "auth/sql/queries.py": "auth/sql/test_accounts.py",
    "auth/wrapped_accounts.py": "auth/app_passwords/test_accounts.py",
    "cli/commands": "cli/commands/test_mail_commands.py",
    "cli/errors.py": "golden/test_toolbox.py",
    "cli/fetching": "cli/commands/test_fetch.py",
    "cli/main.py": "golden/test_toolbox.py",
    "cli/options": "golden/test_toolbox.py",
    "cli/output": "cli/commands/test_mail_commands.py",
    "cli/shell": "cli/shell/test_shell.py",
    "client/aio.py": "client/test_blocking_and_aio.py",
    "client/asyncio_driver.py": "client/test_blocking_and_aio.py",
    "client/attempts.py": "client/test_two_addresses.py",
    "client/blocking.py": "client/test_blocking_and_aio.py",
    "client/credentials.py": "client/test_options.py",
    "client/discovery": "client/discovery/test_discover.py",
    "client/deadlines.py": "client/test_slow_replies.py",
    "client/error_ids.py": "diagnosis/test_run.py",
    "client/greeting.py": "diagnosis/test_odd_servers.py",
    "client/header_part.py": "client/test_message_sizes.py",
    "client/io.py": "client/test_blocking_and_aio.py",
    "client/maildrop.py": "client/test_blocking_and_aio.py",
    "client/messages.py": "client/test_blocking_and_aio.py",
    "client/name_resolution.py": "client/discovery/test_lookup_bounds.py",
    "client/other_protocols.py": "diagnosis/test_odd_servers.py",
    "client/session.py": "client/test_blocking_and_aio.py",
    "client/socket_driver.py": "client/test_blocking_and_aio.py",
    "client/tls.py": "diagnosis/steps/test_tls.py",
    "conformance": "conformance/test_suite.py",
    "delivery/protocol": "delivery/test_dialogues.py",
    "delivery/replies.py": "delivery/test_dialogues.py",
    "delivery/sessions.py": "delivery/test_times.py",
    "developer": "developer/test_server.py",
    "diagnosis/context.py": "diagnosis/test_run.py",
    "diagnosis/report.py": "golden/test_toolbox.py",
    "diagnosis/steps": "diagnosis/test_run.py",
    "diagnosis/wording.py": "golden/test_toolbox.py",
    "fetch/account_journal.py": "fetch/test_journal.py",
    "fetch/account_lock.py": "fetch/test_journal.py",
    "fetch/batches.py": "fetch/test_fetcher.py",
    "fetch/descriptions.py": "fetch/test_fetcher.py",
    "fetch/destinations/smtp/accepted_recipients.py": "fetch/destinations/smtp/test_destination.py",
    "fetch/destinations/commands.py": "fetch/destinations/test_pipe.py",
    "fetch/destinations/filters.py": "fetch/destinations/test_rules.py",
    "fetch/destinations/disk_errors.py": "fetch/destinations/test_maildir.py",
    "fetch/destinations/smtp/envelope.py": "fetch/destinations/smtp/test_destination.py",
    "fetch/destinations/imap/address.py": "fetch/destinations/imap/test_destination.py",
    "fetch/destinations/imap/session.py": "fetch/destinations/imap/test_destination.py",
    "fetch/destinations/gmail/address.py": "fetch/destinations/gmail/test_destination.py",
    "fetch/destinations/gmail/api.py": "fetch/destinations/gmail/test_destination.py",
    "fetch/destinations/message_digest.py": "fetch/destinations/imap/test_destination.py",
    "fetch/destinations/gmail/stored_tokens.py": "fetch/destinations/gmail/test_destination.py",
    "fetch/destinations/mbox/place.py": "fetch/destinations/mbox/test_destination.py",
    "fetch/destinations/smtp/session.py": "fetch/destinations/smtp/test_destination.py",
    "fetch/destinations/smtp/transaction.py": "fetch/destinations/smtp/test_destination.py",
    "fetch/errors.py": "fetch/test_journal.py",
    "fetch/group.py": "fetch/test_fetcher.py",
    "fetch/identity.py": "fetch/test_fetcher.py",
    "fetch/imports": "fetch/imports/test_programs.py",
    "fetch/listing.py": "fetch/test_odd_servers.py",
    "fetch/precautions.py": "fetch/test_odd_servers.py",
    "fetch/large_headers.py": "fetch/test_fetcher.py",
    "fetch/retrieval.py": "fetch/test_fetcher.py",
    "fetch/session.py": "fetch/test_fetcher.py",
    "mail": "mail/test_header.py",
    "misbehave/catalogue": "misbehave/test_catalogue.py",
    "misbehave/by_user.py": "misbehave/test_driver.py",
    "misbehave/certificates.py": "misbehave/test_driver.py",
    "misbehave/changes.py": "misbehave/test_catalogue.py",
    "misbehave/connection.py": "misbehave/test_driver.py",
    "misbehave/fault.py": "misbehave/test_rules.py",
    "misbehave/profiles.py": "misbehave/test_library.py",
    "misbehave/finding.py": "misbehave/test_rules.py",
    "misbehave/smtp": "misbehave/smtp/test_smtp_catalogue.py",
    "misbehave/score/client_process.py": "misbehave/score/test_runner.py",
    "misbehave/score/picture.py": "misbehave/score/test_report.py",
    "misbehave/score/sandbox.py": "misbehave/score/test_runner.py",
    "net": "client/test_blocking_and_aio.py",
    "oauth/client.py": "cli/commands/test_login.py",
    "oauth/errors.py": "oauth/test_refusals.py",
    "oauth/flows": "oauth/flows/test_run.py",
    "oauth/issuer_requests.py": "oauth/test_token_endpoint.py",
    "oauth/keyring_entries.py": "oauth/test_token_store.py",
    "oauth/known_end.py": "cli/commands/test_tokens.py",
    "oauth/private_files.py": "oauth/test_token_store.py",
    "oauth/sealing.py": "oauth/test_token_store.py",
    "oauth/secret_command.py": "oauth/test_token_store.py",
    "oauth/token_names.py": "oauth/test_token_store.py",
    "protocol/client": "protocol/test_client_and_server.py",
    "protocol/effects.py": "protocol/server/test_needs.py",
    "protocol/line_ends.py": "protocol/test_stuffing.py",
    "protocol/saslprep.py": "protocol/server/test_sasl.py",
    "protocol/server": "protocol/server/test_transcripts.py",
    "protocol/translations": "protocol/translations/test_catalogues.py",
    "protocol/unstuffing.py": "protocol/test_stuffing.py",
    "server/config/addresses.py": "server/config/test_loader.py",
    "server/app.py": "cli/commands/test_serve.py",
    "server/auth_socket": "server/auth_socket/test_connection.py",
    "server/tasks/background.py": "server/tasks/test_expiry.py",
    "server/composition/components.py": "server/config/test_loader.py",
    "server/config/account_sections.py": "server/config/test_loader.py",
    "server/connection": "server/connection/test_connection.py",
    "server/context.py": "server/connection/test_connection.py",
    "server/error_replies.py": "server/test_incidents.py",
    "server/extra_listener.py": "delivery/test_listener.py",
    "server/limits/failures.py": "server/limits/test_throttle.py",
    "net/client_networks.py": "server/limits/test_throttle.py",
    "server/limits/process_lock.py": "server/limits/test_shared_table.py",
    "server/limits/server_limits.py": "server/limits/test_limit_log.py",
    "server/lifecycle.py": "server/test_embedding.py",
    "server/system/loop_thread.py": "server/test_embedding.py",
    "server/control": "server/control/test_service.py",
    "server/metrics/catalogue.py": "server/metrics/test_exposition.py",
    "server/observer.py": "server/metrics/test_recorder.py",
    "storage/peers.py": "storage/cluster/test_requests.py",
    "server/processes": "server/processes/test_workers.py",
    "server/tls/client_hello.py": "server/tls/test_key_kinds.py",
    "server/tls/key_fitting.py": "server/tls/test_key_kinds.py",
    "server/tls/self_signed.py": "conformance/test_suite.py",
    "storage/cluster": "storage/cluster/test_store.py",
    "storage/cluster/check/bodies.py": "storage/cluster/check/test_checker.py",
    "storage/cluster/check/boxes.py": "storage/cluster/check/test_checker.py",
    "storage/cluster/check/sizes.py": "storage/cluster/check/test_checker.py",
    "storage/disk_latency.py": "server/test_slow_disk.py",
    "storage/empty.py": "storage/maildir/test_junk.py",
    "storage/existence.py": "delivery/test_recipients.py",
    "storage/file_chunks.py": "storage/maildir/test_faults.py",
    "storage/maildir": "storage/maildir/test_contract.py",
    "storage/mbox": "storage/mbox/test_contract.py",
    "storage/paths.py": "server/config/test_loader.py",
    "storage/removals.py": "storage/maildir/test_deleted.py",
    "storage/quota.py": "storage/maildir/test_usage.py",
    "storage/snapshot_cache.py": "storage/maildir/test_snapshot.py",
    "storage/utf8_downgrade/ascii_header.py": "storage/utf8_downgrade/test_maildrop.py",
    "lazy_names.py": "server/test_embedding.py",
    "testing/authority.py": "test_pytest_plugin.py",
    "testing/received.py": "testing/test_waiting.py",
    "threads.py": "storage/test_disk_threads.py",
    "web/api_types.py": "web/test_api.py",
    "web/app.py": "web/test_page.py",
    "web/formats.py": "web/test_page.py",
    "web/listener.py": "web/test_browser.py",
    "web/mailpit_events.py": "web/test_mailpit.py",
    "web/mailpit_rows.py": "web/test_mailpit.py",
    "web/mailpit_send.py": "web/test_mailpit.py",
    "web/mailpit_json.py": "web/test_mailpit.py",
    "web/mailpit_tags.py": "web/test_mailpit.py",
    "web/page_routes.py": "web/test_page.py",
    "web/state.py": "web/test_page.py",
}
"""Modules and packages whose tests are under another name: they are tested by what uses them."""


def modules() -> list[str]:
    """Return the modules with behaviour, as paths; others hold names, numbers or types alone."""
    paths = [path for path in sorted(SOURCE.rglob("*.py")) if "def " in path.read_text()]
    names = [path.relative_to(SOURCE).as_posix() for path in paths]
    plain = ("__init__.py", "interfaces.py", "settings.py")
    return [name for name in names if not name.endswith(plain)]


def place_of(module: str) -> Path:
    """Return the file or folder that a reader opens first."""
    path = TESTS / module
    file = path.with_name(f"test_{path.name}")
    return file if file.exists() else path.with_suffix("")


def elsewhere(module: str) -> str | None:
    """Return the row of the table that a module falls under, the longest one."""
    parts = module.split("/")
    rows = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((row for row in rows if row in ELSEWHERE), None)


def test_each_module_has_its_tests() -> None:
    """A module has a test file of its name, a folder of its name, or a row in the table."""
    untested = [m for m in modules() if not place_of(m).exists() and not elsewhere(m)]
    assert untested == [], "add tests/a/test_b.py for a/b.py, or a row in ELSEWHERE of this file"


def test_modules_are_short() -> None:
    """A reader surveys a module: it has at most 400 lines."""
    files = sorted(SOURCE.rglob("*.py"))
    lengths = {file.relative_to(SOURCE): len(file.read_text().splitlines()) for file in files}
    long = {name.as_posix(): length for name, length in lengths.items() if length > LONGEST}
    assert long == {}, "move what stands on its own to a module of its own"


def test_the_table_is_true() -> None:
    """Each row is used, and names a test that is there."""
    found = modules()
    used = {elsewhere(module) for module in found if not place_of(module).exists()}
    assert sorted(set(ELSEWHERE) - used) == [], "remove these rows of ELSEWHERE: nothing needs them"
    missing = [test for test in ELSEWHERE.values() if not (TESTS / test).exists()]
    assert missing == [], "rows of ELSEWHERE name tests that are not there"


def test_each_folder_mirrors_a_package() -> None:
    """A test file stands in the folder of a package or module, or in one of the named kinds."""
    lost = []
    for file in TESTS.rglob("test_*.py"):
        folder = file.parent.relative_to(TESTS)
        module = (SOURCE / folder).with_suffix(".py")
        if folder.parts[:1] and folder.parts[0] in KINDS:
            continue
        if not (SOURCE / folder).is_dir() and not module.exists():
            lost.append(str(file))
    assert lost == [], "move them to the folder of their package, or add a folder to KINDS"


def public_modules(package: Path) -> set[str]:
    """Return the names of the modules and packages in a package, without private ones."""
    modules = {file.stem for file in package.glob("*.py")}
    packages = {file.parent.name for file in package.glob("*/__init__.py")}
    return {name for name in modules | packages if not name.startswith("_")}


def test_package_texts_name_modules() -> None:
    """The docstring of a package names each of its modules, in backticks."""
    missing = {}
    for file in sorted(SOURCE.rglob("__init__.py")):
        text = ast.get_docstring(ast.parse(file.read_text())) or ""
        unnamed = public_modules(file.parent) - set(re.findall(r"`(\w+)`", text))
        if unnamed:
            missing[file.relative_to(SOURCE).as_posix()] = sorted(unnamed)
    assert missing == {}, "name these modules in backticks in the docstring of their __init__"


def test_each_store_is_listed() -> None:
    """A store is a value of mail.format, imports no other store, and has its faults tried."""
    stores = {file.parent.name for file in (SOURCE / "storage").glob("*/store.py")}
    formats = typing.get_args(typing.get_type_hints(MailSection)["format"])
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    separate = {
        module.removeprefix("restante.storage.")
        for contract in contracts
        if contract["name"] == "Stores do not know each other"
        for module in contract["modules"]
    }
    assert stores == set(formats), "add its format in server/config/mail_sections.py"
    assert stores <= separate, 'add it to "Stores do not know each other" in pyproject.toml'
    assert stores <= {*BOXES, "cluster"}, "add it to BOXES in tests/faults/boxes.py"
