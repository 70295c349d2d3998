"""The cluster store: mail in PostgreSQL, served by any number of nodes, none of which keeps any.

`store` puts the others together. `database` makes calls to PostgreSQL with time limits
(`connecting` and `errors` belong to it), and `schema` applies the files of sql/. `lease` is the
node among others, `peers` what nodes report to each other, and `requests` what they ask. `maildrop`
is a session's mail, with `read_ahead`, `snapshot` a list of messages kept for the next session,
`settings` the section [cluster] of the configuration. `bodies` are the messages outside the
database, in an `object_store` (its keys: `objects_secret`) or an `object_folder`; `claim` says
which cluster they belong to. `sweep` deletes those that no message has. `removed_mail` expires
mail, and restores what `deleted` keeps for a while. `check` compares all of it, `status` and
`usage` count it, and `startup` says at the start what cannot be promised. `transfer` brings mail in
and out; `shards` knows which database has the mail of an owner.

Always: a session removes mail only while its random token is in the lease, in the transaction that
removes. All times are of PostgreSQL's clock. No number from a counter is shown to anyone, since
counters go back after a failover to a standby that was behind. A body is durable before its row,
and goes only when no row can have it. docs/explanation/cluster.md.
"""

from restante.storage.cluster.settings import ClusterSettings
from restante.storage.cluster.store import ClusterStore

__all__ = ["ClusterSettings", "ClusterStore"]
