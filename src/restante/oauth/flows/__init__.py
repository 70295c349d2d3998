"""The ways to sign in, a module each; all return a TokenSet and raise OAuthError.

`authorization` is what loopback and paste share: a request with PKCE, and the answer by redirect.
`run` tries the flows that are possible, in their order.
"""

from typing import Literal, TypeAlias

Flow: TypeAlias = Literal["loopback", "device", "paste", "client-credentials"]
