"""Several worker processes on the same sockets.

`supervisor` starts workers, restarts them and reloads the configuration; a `generation` is the
workers of one configuration; `worker` has the parent's handle and the child's main; `signals`
waits.
"""
