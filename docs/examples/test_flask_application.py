import smtplib
from email.message import EmailMessage

import flask

from restante.testing import MemoryServer

app = flask.Flask(__name__)
app.config.update(SMTP_HOST="smtp.shop.example", SMTP_PORT=587)


@app.post("/sign-up")
def sign_up() -> str:
    message = EmailMessage()
    message["From"] = "shop@example.com"
    message["To"] = flask.request.form["address"]
    message["Subject"] = "Welcome"
    message.set_content("Please confirm: https://shop.example/confirm?t=42\n")
    with smtplib.SMTP(app.config["SMTP_HOST"], app.config["SMTP_PORT"]) as client:
        client.login("shop", "password-of-production")
        client.send_message(message)
    return "We have sent a link."


def test_sign_up_sends_a_link(mailbox: MemoryServer) -> None:
    app.config.update(SMTP_HOST=mailbox.host, SMTP_PORT=mailbox.smtp_port)
    app.test_client().post("/sign-up", data={"address": "new@shop.example"})
    mail = mailbox.wait(to="new@shop.example", subject="Welcome")
    assert mail.links == ["https://shop.example/confirm?t=42"]
