import smtplib
from email.message import EmailMessage
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.testclient import TestClient

from restante.testing import MemoryServer

app = FastAPI()


def smtp_address() -> tuple[str, int]:
    return "smtp.shop.example", 587


def send_link(address: str, smtp: tuple[str, int]) -> None:
    message = EmailMessage()
    message["From"] = "shop@example.com"
    message["To"] = address
    message["Subject"] = "Welcome"
    message.set_content("Please confirm: https://shop.example/confirm?t=42\n")
    with smtplib.SMTP(*smtp) as client:
        client.login("shop", "password-of-production")
        client.send_message(message)


@app.post("/sign-up")
async def sign_up(
    address: str, tasks: BackgroundTasks, smtp: Annotated[tuple[str, int], Depends(smtp_address)]
) -> str:
    tasks.add_task(send_link, address, smtp)
    return "We send a link."


def test_sign_up_sends_a_link(mailbox: MemoryServer) -> None:
    app.dependency_overrides[smtp_address] = lambda: (mailbox.host, mailbox.smtp_port)
    TestClient(app).post("/sign-up", params={"address": "new@shop.example"})
    mail = mailbox.wait(to="new@shop.example", subject="Welcome")
    assert mail.links == ["https://shop.example/confirm?t=42"]
