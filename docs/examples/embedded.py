"""POP3 within a program of its own: accounts in a dict, mail in memory."""

import asyncio

from restante.auth import CredentialsError, Identity, Secret
from restante.server import Listener, Server
from restante.storage.memory import MemoryStore


class Accounts:
    """An authenticator: see `restante.auth.Authenticator`."""

    def __init__(self, passwords: dict[str, Secret]) -> None:
        self.passwords = passwords

    async def verify(self, user: str, password: Secret) -> Identity:
        known = self.passwords.get(user, Secret(b""))
        if known != password or user not in self.passwords:  # compares in constant time
            raise CredentialsError
        return Identity(user)


async def main() -> None:
    store = MemoryStore()
    await store.deliver("ann", b"Subject: hello\n\nfrom a program\n")
    accounts = Accounts({"ann": Secret(b"secret")})
    async with Server(store, accounts, [Listener("127.0.0.1", 1110)]) as server:
        print("POP3 at", *server.addresses)
        await asyncio.Event().wait()  # whatever else the program does


if __name__ == "__main__":
    asyncio.run(main())
