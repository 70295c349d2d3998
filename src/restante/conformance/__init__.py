"""`pop3 verify`: conformance checks against any POP3 server.

`check` is a check and its result, `context` what checks work with. `suite` runs the groups of
`checks` in order. A check takes a ConformanceContext and raises Deviation or NotTestable.
`raw_connection` sends octets as they are, `sample_messages` are the messages that `delivery` brings
into the mailbox.

Not API: any version may change it.
"""
