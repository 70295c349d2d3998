"""The page in a real browser: a server, the page that it serves, and another site."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage

from playwright.sync_api import BrowserContext, Page

from restante.developer.server import DeveloperServer
from support.outside import OtherSite


@dataclass
class World:
    """One page that is served, one other site, and a browser window."""

    server: DeveloperServer
    outside: OtherSite
    url: str
    page: Page
    context: BrowserContext

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.url + path, wait_until="domcontentloaded")
        return self.page


def html(text: str, subject: str = "Invoice") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "shop@example.com", subject
    mail.set_content(text, subtype="html")
    return mail
