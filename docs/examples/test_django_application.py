from collections.abc import Iterator

import django
import pytest
from django.conf import settings
from django.core.mail import send_mail
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from restante.testing import MemoryServer

SMTP = "django.core.mail.backends.smtp.EmailBackend"


def sign_up(request: HttpRequest) -> HttpResponse:
    link = "https://shop.example/confirm?t=42"
    send_mail("Welcome", f"Please confirm: {link}", "shop@example.com", [request.POST["address"]])
    return HttpResponse("We have sent a link.")


urlpatterns = [path("sign-up", sign_up)]

if not settings.configured:  # a project of your own has its settings
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="for tests")
    django.setup()


@pytest.fixture
def mail(mailbox: MemoryServer) -> Iterator[MemoryServer]:
    with override_settings(
        EMAIL_BACKEND=SMTP,  # Django's test runner sets another one, which sends nothing
        EMAIL_HOST=mailbox.host,
        EMAIL_PORT=mailbox.smtp_port,
        EMAIL_HOST_USER="shop",
        EMAIL_HOST_PASSWORD="password-of-production",
    ):
        yield mailbox


def test_sign_up_sends_a_link(mail: MemoryServer) -> None:
    Client().post("/sign-up", {"address": "new@shop.example"})
    message = mail.wait(to="new@shop.example", subject="Welcome")
    assert message.links == ["https://shop.example/confirm?t=42"]
