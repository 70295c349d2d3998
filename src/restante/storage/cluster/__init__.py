"""Mail on many nodes: PostgreSQL has the index and small bodies, an object store the large ones."""
