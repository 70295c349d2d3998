"""The server: an asyncio driver for `restante.protocol.server`, its configuration and its log."""
