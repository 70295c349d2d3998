"""`pop3 fetch` behind its options.

`command` chooses what is asked for. `account` is one account with its destinations and journal,
`runs` runs accounts once or again and again, `report` prints. `units` are those of systemd.
"""
