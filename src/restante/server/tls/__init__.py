"""TLS on the server's side, and the certificates that it presents.

`layer` turns octets into octets. `certificates` chooses by the name and the abilities in the
`client_hello` (`key_fitting`) and reloads what has changed on disk (`certificate_files`).
`certificate_log` warns before a certificate ends, `self_signed` makes one for the demo.
"""
