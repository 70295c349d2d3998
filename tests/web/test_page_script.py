"""The script of the page: what it brings while mail comes, and where it leaves the focus."""

from __future__ import annotations

import errno
import os
import re
import time

import pytest
from playwright.sync_api import Dialog, Page, Request, Route, expect

from support.live import wait_until
from support.page_client import add, say
from support.page_world import World, html


@pytest.fixture
def page(world: World) -> Page:
    """Return the page, which is live."""
    opened = world.open()
    expect(opened.locator("#connection")).to_have_text("live")
    return opened


def slowly(route: Route) -> None:
    time.sleep(0.25)
    route.continue_()


def test_removing_all_is_offered_for_new_mail(world: World, page: Page) -> None:
    """The button comes with the first message, and asks about as many as are listed now."""
    add(world.server, b"Subject: one\n\n")
    expect(page.get_by_role("button", name="Remove all")).to_be_visible()
    add(world.server, b"Subject: two\n\n")
    expect(page.locator("#messages li")).to_have_count(2)
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.once("dialog", accept)
    page.get_by_role("button", name="Remove all").press("Enter")
    expect(page.locator("#messages .empty")).to_be_visible()
    assert asked == ["Remove these 2 messages permanently?"]
    expect(page.locator("#messages")).to_be_focused()


def test_removing_all_spares_later_mail(world: World, page: Page) -> None:
    """A message that comes while the question is open stays."""
    add(world.server, b"Subject: one\n\n")
    add(world.server, b"Subject: two\n\n")
    expect(page.locator("#messages li")).to_have_count(2)

    def accept_late(dialog: Dialog) -> None:
        add(world.server, b"Subject: three\n\n")
        dialog.accept()

    page.once("dialog", accept_late)
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator("#messages li")).to_have_count(1)
    assert [mail.id for mail in world.server.mailboxes.mail()] == [3]


def test_a_visit_is_not_overtaken(world: World, page: Page) -> None:
    """A message opens on a phone, also if another one comes in that moment."""
    page.set_viewport_size({"width": 400, "height": 640})
    add(world.server, b"Subject: one\n\n")

    def bring_another(route: Route) -> None:
        add(world.server, b"\n")
        slowly(route)

    page.route("**/?message=1*", bring_another, times=1)
    page.locator("#messages a.row").first.click()
    expect(page.locator("#subject")).to_be_focused()
    expect(page).to_have_title("one · Restante")


def test_the_page_goes_on_while_mail_pours_in(world: World, page: Page) -> None:
    """If mail comes faster than the page is read again, it is shown all the same."""
    page.route(f"{world.url}/", slowly)

    def is_shown() -> bool:
        add(world.server, b"Subject: one\n\n")
        page.wait_for_timeout(60)
        return page.locator("#messages li").count() > 0

    wait_until(is_shown)


def test_a_fast_conversation_is_caught_up(world: World, page: Page) -> None:
    """Hundreds of lines at once are all shown, with few requests."""
    asked: list[Request] = []
    page.on("requestfinished", lambda request: asked.append(request))  # noqa: PLW0108  # for Playwright
    talk = world.server.sessions.open("POP3", "127.0.0.1:5")
    for number in range(600):
        say(talk, f"C RETR {number}")
        time.sleep(0.001)
    expect(page.locator("#session-lines .line")).to_have_count(600)
    assert len(asked) < 300


def test_an_address_is_copied_twice(page: Page) -> None:
    """A button that was pressed twice has its own text again."""
    button = page.locator("button.copy").first
    button.click()
    expect(button).to_have_text(re.compile("opied"))
    button.click()
    expect(button).to_have_text("127.0.0.1:1110")


def test_the_focus_stays_at_its_mailbox(world: World, page: Page) -> None:
    """A new mailbox that comes before the focused one does not get its focus."""
    add(world.server, b"\n", "m@example.com")
    page.get_by_role("link", name="m@example.com 1").focus()
    add(world.server, b"\n", "a@example.com")
    expect(page.get_by_role("link", name="a@example.com 1")).to_be_visible()
    expect(page.get_by_role("link", name="m@example.com 1")).to_be_focused()


def test_the_focus_stays_at_a_link(world: World, page: Page) -> None:
    """A link that was followed by the keyboard keeps the focus, though the page wrote it anew."""
    mail = add(world.server, html("<p>Hello</p>"))
    talk = world.server.sessions.open("POP3", "127.0.0.1:5")
    talk.add("C", "DELE 1", mail=mail.uid)
    page.get_by_role("link", name="Show message").press("Enter")
    expect(page.locator("iframe")).to_be_visible()
    expect(page.get_by_role("link", name="Show message")).to_be_focused()
    page.get_by_role("link", name="Source").press("Enter")
    expect(page.locator("pre.source")).to_be_visible()
    expect(page.get_by_role("link", name="Source")).to_be_focused()
    page.set_viewport_size({"width": 400, "height": 640})
    tab = page.get_by_role("navigation", name="Parts of the page").get_by_text("Faults")
    tab.press("Enter")
    expect(page.locator("#fault")).to_be_visible()
    expect(tab).to_be_focused()


def test_the_focus_after_a_fault(world: World, page: Page) -> None:
    """The focus goes from a fault that was switched off to the next one, and then to the field."""
    world.server.faults.set(["retr-cut", "uidl-none"])
    page.get_by_role("button", name="Switch off uidl-none").press("Enter")
    expect(page.get_by_role("button", name="Switch off retr-cut")).to_be_focused()
    page.get_by_role("button", name="Switch off retr-cut").press("Enter")
    expect(page.locator("#fault")).to_be_focused()


def test_mail_that_cannot_be_removed(
    world: World, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a folder cannot remove its mail, or the server has ended, the page says why."""

    def fail(_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(world.server.mailboxes, "remove", fail)
    add(world.server, b"Subject: one\n\n")
    said: list[str] = []

    def note(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.accept()

    def wait_for(count: int) -> None:
        while len(said) < count:
            page.wait_for_timeout(20)

    page.on("dialog", note)
    page.get_by_role("link", name="one").press("Delete")
    wait_for(1)
    page.get_by_role("button", name="Remove all").click()
    wait_for(3)
    page.route("**/api/messages*", lambda route: route.abort())
    page.get_by_role("button", name="Remove all").click()
    wait_for(5)
    question = "Remove this message permanently?"
    reason = "Not removed: Read-only file system; mount the disk writable"
    assert said == [reason, question, reason, question, "Not removed: the server does not answer"]
    expect(page.get_by_role("status")).not_to_have_text("Removed")
    expect(page.locator("#messages li")).to_have_count(1)


def test_a_fault_without_a_server(page: Page) -> None:
    """A server that is gone is said where the fault was asked for, and the field keeps it."""
    page.route("**/api/faults", lambda route: route.abort())
    page.locator("#fault").fill("greeting-none")
    page.locator("#fault").press("Enter")
    expect(page.locator("#fault-error")).to_have_text("Not changed: the server does not answer")
    expect(page.locator("#fault")).to_have_value("greeting-none")


def test_a_page_that_comes_back_is_live(world: World, page: Page) -> None:
    """A page that a browser kept whole, and shows again, follows what happens."""
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    add(world.server, b"Subject: one\n\n")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator("#messages li")).to_have_count(1)
    expect(page.locator("#connection")).to_have_text("live")
    add(world.server, b"Subject: two\n\n")
    expect(page.locator("#messages li")).to_have_count(2)
