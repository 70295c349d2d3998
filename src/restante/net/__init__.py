"""What server, client and toolbox share about the network.

`addresses` reads and writes HOST:PORT and recognises this machine, `tls_layer` is TLS over buffers
in memory, `certificate_dates` says when a certificate ends soon, `https` is the one HTTP client.
Nothing here imports another package of Restante.
"""
