"""Networking that server, client and toolbox share.

`addresses` reads and writes HOST:PORT and recognises this machine, `host_names` has the form of
names in the DNS, `connecting` resolves and connects in a given time, in `daemon_threads`. `http` is
the one HTTP client, `client_networks` says which addresses are one client, and parses networks.
`tls_layer` is TLS over buffers in memory, `tls_trust` says which certificates are trusted,
`half_close` ends our half of a connection, and `certificate_dates` says when a certificate ends
soon.

Always: nothing here imports another package of Restante, and every wait has an end.

Not API: any version may change it.
"""
