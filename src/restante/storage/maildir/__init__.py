"""The Maildir store: one folder a user, one file a message, written by any delivery agent.

`names` reads file names, `listing` finds the messages, `sizes` remembers what was counted, `files`
opens them safely, `lock` keeps other sessions out, and `store` puts these together.
"""

from restante.storage.maildir.store import MaildirStore

__all__ = ["MaildirStore"]
