"""The client without asyncio.

with restante.blocking.connect("pop3s://ann@example.com", password="...") as box: ...
"""

from restante.client.blocking import Maildrop, Message, connect

__all__ = ["Maildrop", "Message", "connect"]
