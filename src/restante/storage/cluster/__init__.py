"""The cluster store: mail in PostgreSQL, served by any number of nodes, none of which keeps any.

`store` puts the others together. `database` makes calls to PostgreSQL with time limits
(`connecting` and `errors` belong to it), and `schema` applies the files of sql/. `lease` is the
node among others, `maildrop` a session's mail, `snapshot` a list of messages kept for the next
session, `settings` the section [cluster] of the configuration.

Always: a session removes mail only while its random token is in the lease, in the transaction that
removes. All times are of PostgreSQL's clock. No number from a counter is shown to anyone, since
counters go back after a failover to a standby that was behind. docs/explanation/cluster.md.
"""

from restante.storage.cluster.settings import ClusterSettings
from restante.storage.cluster.store import ClusterStore

__all__ = ["ClusterSettings", "ClusterStore"]
