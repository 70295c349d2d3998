"""The Maildir store: one folder a user, one file a message, written by any delivery agent.

`names` reads file names, `uidlist` knows the unique-ids that another server gave (`dovecot` and
`courier` read its list), `listing` finds the messages, `identity` tells a message from a file that
came later, `sizes` remembers what was counted, a `snapshot` is what a look found and `opening`
takes it, `lock` keeps other sessions out, `held` is what a session has open, `delivery` puts a
message in, `removal` removes some, `copies` keeps the unique-ids of others, `expiry` removes old
ones, and `store` puts these together.
"""

from restante.storage.maildir.courier import CourierUniqueIds
from restante.storage.maildir.dovecot import DovecotUniqueIds
from restante.storage.maildir.store import MaildirStore

__all__ = ["CourierUniqueIds", "DovecotUniqueIds", "MaildirStore"]
