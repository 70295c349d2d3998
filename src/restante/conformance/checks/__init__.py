"""The conformance checks, a module for each part of POP3.

They run in this order: `before_login`, `tls`, `sasl`, `after_login`, `message_octets`, `deletion`,
`extensions`, `final`.

Always: the name of a function is the public name of its check, which `pop3 verify` shows and
accepts. What changes or compares messages uses only samples that this run has sent.
"""
