"""Whether the index and the bodies of a cluster agree: `pop3 store check`.

`checker` runs the checks of `bodies`, `boxes` and `sizes`, and `problems` has what they find.
"""
