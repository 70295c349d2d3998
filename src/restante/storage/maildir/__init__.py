"""The Maildir store: one folder a user, one file a message, written by any delivery agent.

`store` is the whole store, and `maildrop` the mail of one session. `lock` excludes other sessions,
and `locked_folder` has the descriptors of a session. `scan` finds the messages, a `snapshot` keeps
the result, and `refresh` updates it. `identity` separates a message from a later file.
`filenames` parses names, `size_cache` keeps sizes, `uidlist` keeps the unique-ids of other servers
(`dovecot`, `courier`). `delivery` adds a message; `removal`, `copies` and `expiry` remove some,
`deleted` keeps them for a while; `quota` and `usage` count for Maildir++; `compressed` reads what
Dovecot compressed, and `exported` is a Maildir that another store is exported to.

Always: a message is its inode, whatever its names are. Everything goes by one descriptor of the
user's folder, and no link in it is followed.
"""

from typing import TYPE_CHECKING

from restante.lazy_names import make_loader

if TYPE_CHECKING:
    from restante.storage.maildir.courier import CourierUniqueIds
    from restante.storage.maildir.dovecot import DovecotUniqueIds
    from restante.storage.maildir.store import MaildirStore

__all__ = ["CourierUniqueIds", "DovecotUniqueIds", "MaildirStore"]

_MODULES = {
    "CourierUniqueIds": "restante.storage.maildir.courier",
    "DovecotUniqueIds": "restante.storage.maildir.dovecot",
    "MaildirStore": "restante.storage.maildir.store",
}
if not TYPE_CHECKING:  # with `__getattr__`, a type checker accepts any name
    __getattr__, __dir__ = make_loader(__name__, _MODULES)
