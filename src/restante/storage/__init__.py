"""Where mail lies.

`api` says what a store is; `maildir`, `mbox` and `memory` are some. `layout` names a user's place,
`files` opens what others may change meanwhile, `pace` tells whether the disk is quick, `snapshots`
keeps what was found, and `headers` puts stand-ins in the place of headers in UTF-8.
"""
