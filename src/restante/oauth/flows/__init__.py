"""The ways to sign in, a module each; all return a TokenSet and raise OAuthError.

`loopback` and `paste` share `authorization`: a request with PKCE, and the answer by redirect.
`device` shows a code to type in a browser anywhere. `run` tries the flows that are possible, in
their order.
"""

from typing import Literal, TypeAlias

Flow: TypeAlias = Literal["loopback", "device", "paste", "client-credentials"]
