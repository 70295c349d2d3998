"""The mbox store: one file a user, as in /var/mail, written by any delivery agent.

`fromline` and `quoting` say what stands between messages and within them, `header` what other
programs and this one add to them, and `text` what each is; `messages` finds them in a file, and
`opening` remembers what was found. `lock` keeps others out, `journal` undoes what a killed process
began, `rewrite` takes messages away, `delivery` puts one in, and `store` puts these together.
"""

from restante.storage.mbox.store import MboxStore

__all__ = ["MboxStore"]
