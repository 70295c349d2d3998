"""Where mail lies.

`interfaces` says what a store is, and `errors` what it raises; `maildir`, `mbox`, `memory` and
`cluster` are the stores, and do not know each other. `paths` names a user's place, `maildrops`
finds all places, `fs` opens files that others may change meanwhile, `file_chunks` reads one,
`existence` finds out whether a user has a maildrop, `disk_threads` bounds the threads that wait for
a disk, `disk_latency` measures it, `snapshot_cache` keeps what was found, `age_limit` says which
mail is old, and `empty` is a maildrop without a folder. `dovecot_format` makes unique-ids as
Dovecot does. `quota` is the interface of a store that counts, `removals` of one that keeps removed
mail, and `peers` of one that several nodes share. `utf8_downgrade` serves clients that did not ask
for UTF-8.

Always: mail that no QUIT has confirmed is never lost, and mail that one has confirmed is gone:
docs/explanation/durability.md.

API: the names in `__all__`. The modules are not API.
"""

from typing import TYPE_CHECKING

from restante.lazy_names import make_loader
from restante.storage.errors import (
    BusyError,
    ForbiddenError,
    FullError,
    LockedError,
    LostError,
    MessageGoneError,
    OverQuotaError,
    PartialRemovalError,
    PartlyExpiredError,
    QuotaError,
    StoreError,
    TooSoonError,
    UnsyncedRemovalError,
    Utf8Error,
)
from restante.storage.interfaces import (
    BoundsDeliveries,
    CanBeLost,
    ChecksItself,
    ClaimsRounds,
    DelaysLogins,
    ExpiredMessage,
    Expires,
    FindsExpired,
    HasFigures,
    Knows,
    Lives,
    LockedMaildrop,
    LosesMaildrops,
    NeedsUpkeep,
    OpensCached,
    Store,
    StoreFigures,
)
from restante.storage.peers import HasPeers, PeerNews
from restante.storage.quota import KeepsQuota, SharesQuota, StoredWithin
from restante.storage.removals import DatesRemovals, DeletedMessage, KeepsDeleted

if TYPE_CHECKING:
    from restante.protocol.server.maildrop import MessageList
    from restante.protocol.server.needs import Body
    from restante.protocol.stuffing import size_on_wire

__all__ = [
    "Body",
    "BoundsDeliveries",
    "BusyError",
    "CanBeLost",
    "ChecksItself",
    "ClaimsRounds",
    "DatesRemovals",
    "DelaysLogins",
    "DeletedMessage",
    "ExpiredMessage",
    "Expires",
    "FindsExpired",
    "ForbiddenError",
    "FullError",
    "HasFigures",
    "HasPeers",
    "KeepsDeleted",
    "KeepsQuota",
    "Knows",
    "Lives",
    "LockedError",
    "LockedMaildrop",
    "LosesMaildrops",
    "LostError",
    "MessageGoneError",
    "MessageList",
    "NeedsUpkeep",
    "OpensCached",
    "OverQuotaError",
    "PartialRemovalError",
    "PartlyExpiredError",
    "PeerNews",
    "QuotaError",
    "SharesQuota",
    "Store",
    "StoreError",
    "StoreFigures",
    "StoredWithin",
    "TooSoonError",
    "UnsyncedRemovalError",
    "Utf8Error",
    "size_on_wire",
]

_MODULES = {
    "Body": "restante.protocol.server.needs",
    "MessageList": "restante.protocol.server.maildrop",
    "size_on_wire": "restante.protocol.stuffing",
}
if not TYPE_CHECKING:  # with `__getattr__`, a type checker accepts any name
    __getattr__, __dir__ = make_loader(__name__, _MODULES)
