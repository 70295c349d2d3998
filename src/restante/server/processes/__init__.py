"""Several worker processes on the same sockets.

`supervisor` starts workers, restarts them and reloads the configuration. A `generation` is the
workers of one configuration. `worker` has the handle that the supervisor keeps, and the main
function of the child. `signals` lets the supervisor wait for signals.
"""
