"""The tables about mail: where it is stored, and how it arrives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from restante.junk import SUFFIX
from restante.server.config.section import ConfigSection, Count
from restante.server.policies import OverQuotaPolicy, Utf8HeaderPolicy

RESTANTE_UIDS, COURIER, X_UIDL = "own", "courier", "x-uidl"  # unique-ids


class MailSection(ConfigSection):
    """Where and how mail is stored.

    Attributes:
        folder: The folder of all maildrops. It must exist. Only "cluster" does not require it.
        format: "maildir", a folder with a file per message; "mbox", one file with all messages; or
            "cluster", the database of the section [cluster].
        layout: The path of a Maildir or mbox in the folder, made of {user}, or of {local} and
            {domain}, with / or @ between these two. {local} alone serves one domain only.
        expire_days: Remove messages this many days after their arrival. CAPA announces it. Without
            it, messages are not removed.
        keep_deleted: Keep removed messages for this many days, out of all listings and quotas, for
            `pop3 undelete`. Without it, a removal is final.
        utf8_headers: The form of a header in UTF-8 for clients without UTF8: the message
            "as-stored", as fetchers require, a "surrogate" of its header, or "refuse".
        unique_ids: "own"; or Dovecot's `pop3_uidl_format`, by default "%08Xu%08Xv"; or "courier";
            or "x-uidl" for an mbox. Messages then keep the unique-ids of the earlier server.
        junk: The junk maildrop of each account, opened by logins as "ann+junk": a folder in the
            Maildir, such as ".Junk", or a path like that of `layout`.
        junk_suffix: The suffix of these login names, at the end of the local part.
        quota_octets: The quota of an account in octets, unless it has its own. More mail waits, or
            what `delivery.over_quota` says.
        quota_messages: The same in messages.
        maildirsize: The quota file of Maildir++, which Dovecot and Courier share. "keep" adds what
            changes, if there is one. "follow" lets its first line be the quota. "create" creates it
            for each account with a quota.
    """

    folder: Path | None = None
    format: Literal["maildir", "mbox", "cluster"] = "maildir"
    layout: str = "{user}"
    expire_days: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    keep_deleted: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    utf8_headers: Utf8HeaderPolicy = "as-stored"
    unique_ids: str = RESTANTE_UIDS
    junk: str | None = None
    junk_suffix: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,32}$")] = SUFFIX
    quota_octets: Annotated[int, msgspec.Meta(ge=1, le=2**60)] | None = None
    quota_messages: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None = None
    maildirsize: Literal["keep", "follow", "create"] = "keep"


class ShardSection(ConfigSection):
    """A further database of a cluster, and the object store for its large bodies."""

    postgresql_dsn_file: Path
    objects: str | None = None
    objects_secret_file: Path | None = None


class ClusterSection(ConfigSection):
    """The mail of several nodes, for `format = "cluster"`. All nodes have the same values.

    Attributes:
        postgresql_dsn_file: A file with the address of the database,
            "postgresql://USER:PASSWORD@HOST/DB". Of several hosts, "HOST,HOST", the primary counts.
        objects: The object store for large bodies: "s3://BUCKET", "gs://BUCKET", "az://CONTAINER"
            or a folder that all nodes share. Without it, all bodies are in PostgreSQL.
        objects_secret_file: A file with the options of the object store, such as its endpoint and
            keys.
        inline: The size limit of a body in PostgreSQL, in octets, if there is an object store.
        lease: Seconds after which a silent node has lost its maildrops to the others.
        grace: Seconds for which the object store keeps a removed body. It must be no less than the
            age of the oldest backup that you may restore.
        connections: The limit of connections to PostgreSQL of each worker, beside one for its
            beat.
        quota_octets: The quota of a maildrop in octets, unless it has its own. More mail waits.
        quota_messages: The same in messages.
        pooler: PgBouncer is in front of PostgreSQL, in transaction mode.
        shards: Tables [cluster.shards.NAME] of further databases, with their own
            `postgresql_dsn_file`, `objects` and `objects_secret_file`. `pop3 store move` moves mail
            there. The database above has the name "first".
    """

    postgresql_dsn_file: Path | None = None
    objects: str | None = None
    objects_secret_file: Path | None = None
    inline: Annotated[int, msgspec.Meta(ge=0, le=1024 * 1024 * 1024)] = 32_768
    lease: Annotated[float, msgspec.Meta(ge=1, le=600)] = 10
    grace: Annotated[float, msgspec.Meta(ge=0, le=315_360_000)] = 2_592_000
    connections: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8
    quota_octets: Annotated[int, msgspec.Meta(ge=1, le=2**60)] | None = None
    quota_messages: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None = None
    pooler: bool = False
    shards: dict[str, ShardSection] = msgspec.field(default_factory=dict)


class DeliverySection(ConfigSection):
    """How mail arrives from programs on this machine. Delivery requires no login.

    Attributes:
        lmtp: The file of a Unix socket, such as "/run/restante/lmtp", or a loopback HOST:PORT.
        smtp: A loopback HOST:PORT for SMTP, for tests of programs. It does not relay.
        socket_mode: The permissions of the socket, in octal. Programs with write permission can
            deliver.
        socket_group: The group of the socket, such as "postfix". The default is that of the folder
            or of the server.
        recipients: Which recipients exist: "accounts" are the accounts, "folders" the existing
            Maildirs. "auto" is "folders" with PAM, and "accounts" otherwise.
        junk_extension: The address extension whose mail goes to the junk maildrop, such as "spam"
            for ann+spam@example.com. Without it, no mail is delivered there.
        recipient_delimiter: The delimiter before an address extension, as in ann+lists, or "".
        received: Add a Received line for LMTP, too. The MTA has added its own.
        message_size: The size limit of a message, in octets.
        connections: The limit of simultaneous connections. Further clients must try again later.
        over_quota: What becomes of mail over a quota: "defer" keeps it at the MTA for later tries
            (452), "reject" returns it to its sender (552). "remove-oldest" removes the oldest
            messages of the account, to make room.
    """

    lmtp: str | None = None
    smtp: str | None = None
    socket_mode: Annotated[str, msgspec.Meta(pattern="^0?[0-7]{3}$")] = "0660"
    socket_group: str | None = None
    recipients: Literal["auto", "accounts", "folders"] = "auto"
    recipient_delimiter: Annotated[str, msgspec.Meta(max_length=1)] = "+"
    junk_extension: Annotated[str, msgspec.Meta(max_length=64)] = ""
    received: bool = False
    message_size: Annotated[int, msgspec.Meta(ge=65_536, le=2**31)] = 64 * 1024 * 1024
    connections: Count = 100
    over_quota: OverQuotaPolicy = "defer"
