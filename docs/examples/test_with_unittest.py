import smtplib
import unittest

from restante import testing


def sign_up(address: str, host: str, port: int) -> None:
    """The program under test: sends a link."""
    text = f"Subject: Welcome\nTo: {address}\n\nhttps://shop.example/confirm?t=42\n"
    with smtplib.SMTP(host, port) as client:
        client.sendmail("shop@example.com", [address], text)


class SignUpTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = self.enterContext(testing.serving())

    def test_link(self) -> None:
        sign_up("new@shop.example", self.server.host, self.server.smtp_port)
        mail = self.server.wait(to="new@shop.example", subject="Welcome")
        self.assertEqual(mail.links, ["https://shop.example/confirm?t=42"])
        self.server.assert_none(to="other@shop.example")
