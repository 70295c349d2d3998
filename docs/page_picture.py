"""Draws figures/page.png, the page of developer mode: python docs/page_picture.py.

It requires Debian's chromium or chromium-headless-shell, and playwright (`make .venv/test`).
"""

from __future__ import annotations

import contextlib
import poplib
import shutil
import smtplib
from email.message import EmailMessage
from pathlib import Path

from playwright.sync_api import sync_playwright

from restante.developer.server import DeveloperOptions, DeveloperServer
from restante.server import demo
from restante.server.config.addresses import ListenAddress
from restante.web.listener import open_port, serving
from restante.web.page import ServerAddresses
from restante.web.security import Guard

PICTURE = Path(__file__).parent / "figures" / "page.png"
SIZE = {"width": 1280, "height": 800}
WELCOME = """<html><head><style>body { font-family: sans-serif; padding: 12px 24px; color: #222 }
.button { display: inline-block; background: #1d4f9f; color: #fff; padding: 10px 18px; border-radius: 6px;
text-decoration: none }</style></head><body><h1>Welcome to the shop</h1>
<p>Thank you for signing up. Please confirm your address.</p>
<p><a class=button href="https://shop.example/confirm?t=42">Confirm</a></p></body></html>"""


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "The Shop <shop@example.com>", "new@shop.example"
    message["Subject"] = "Welcome to the shop"
    message.set_content("Please confirm: https://shop.example/confirm?t=42\n")
    message.add_alternative(WELCOME, subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Invoice.pdf")
    return message


def draw() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(DeveloperServer(DeveloperOptions(tls=True, any_account=True)))
        for message in demo.DEMO_MESSAGES:
            server.mailboxes.add(demo.ACCOUNT, demo.render(message))
        assert server.smtp_port is not None
        with smtplib.SMTP("127.0.0.1", server.smtp_port) as sender:
            sender.send_message(mail())
        client = poplib.POP3("127.0.0.1", server.port)
        stack.callback(client.close)
        client.user(demo.ACCOUNT)
        client.pass_("restante")
        client.list()
        client.retr(1)
        client.dele(1)
        with contextlib.suppress(poplib.error_proto):
            client.dele(9)
        client.dele(2)
        opened = open_port(ListenAddress("127.0.0.1", 0))
        addresses = ServerAddresses("127.0.0.1:1110", "127.0.0.1:1995", "127.0.0.1:1025")
        stack.enter_context(serving(server, addresses, Guard(), opened))
        started = stack.enter_context(sync_playwright())
        program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]  # a TypedDict
        page.goto(f"http://127.0.0.1:{opened.getsockname()[1]}/?message=6&show=message")
        page.locator("#connection[data-state=live]").wait_for()
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    draw()
