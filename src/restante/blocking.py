"""`restante.blocking.connect`: the client without async."""

from restante.client.blocking import Maildrop, Message, connect

__all__ = ["Maildrop", "Message", "connect"]
