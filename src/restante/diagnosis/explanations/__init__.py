"""The explanation of every id: cause, and fixes for administrator and user.

`explanation` is the form of one. They are grouped as the steps of a check are: `network`, `tls`,
`login` and `mail`. `sign_in` and `oauth` are about tokens, and `fetch` about `pop3 fetch`.
"""

from restante.diagnosis.explanations.explanation import Explanation
from restante.diagnosis.explanations.fetch import FETCH
from restante.diagnosis.explanations.login import LOGIN
from restante.diagnosis.explanations.mail import MAIL
from restante.diagnosis.explanations.network import NETWORK
from restante.diagnosis.explanations.oauth import OAUTH
from restante.diagnosis.explanations.sign_in import SIGN_IN
from restante.diagnosis.explanations.tls import ENCRYPTION

__all__ = ["EXPLANATIONS", "GROUPS", "Explanation", "explain"]

GROUPS = {
    "Names, connections and greetings": NETWORK,
    "TLS and certificates": ENCRYPTION,
    "Login": LOGIN,
    "Sign-in with OAuth": SIGN_IN,
    "Tokens": OAUTH,
    "Mailbox and messages": MAIL,
    "Fetching": FETCH,
}

EXPLANATIONS = {row.id: row for rows in GROUPS.values() for row in rows}


def explain(id: str) -> Explanation:  # noqa: A002  # the field's name everywhere
    """Return the explanation of an id. Raises KeyError: an unknown id."""
    return EXPLANATIONS[id]
