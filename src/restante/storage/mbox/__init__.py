"""The mbox store: one file a user, as in /var/mail, written by any delivery agent.

`store` puts the others together, `maildrop` is the mail of one session. `locks` and `dotlock` keep
other programs out. `scanner` finds messages by `from_line`, `quoting` and `status_fields`; `digest`
identifies one, and a `snapshot` is what was found. `rewrite` removes messages, `in_place_removal`
does so on a full disk, `delivery` adds one, and `journal` undoes what a killed process began.
`paths` and `helper_files` name the files beside it. `reader` reads a long message in chunks,
`exact_io` reads and writes all octets that are requested. `expiry` removes old mail, and `deleted`
keeps removed messages for a while.

Always: reading needs no space and no writable disk. A file that a stranger made is never believed.
"""

from restante.storage.mbox.store import MboxStore

__all__ = ["MboxStore"]
