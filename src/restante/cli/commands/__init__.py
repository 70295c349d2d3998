"""The commands of `pop3`, one module each.

`check` has `probe` too, `ls` has `stat` and `uidl`, `raw` has `top`. No command imports another.
"""
