"""Mail into a cluster, out of it, and from shard to shard.

`importing` brings it in from another store, to an `import_target`; `exporting` copies it out,
`moving` moves maildrops between shards. `transfer` is what these have in common.
"""
