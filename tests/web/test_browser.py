"""The page in a real browser: what people do there, and what messages and other sites try.

One browser serves all tests. Names of other sites lead to this machine, to `other_site`.
"""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError as LateError
from playwright.sync_api import expect

from support.live import wait_until
from support.page_client import add, say
from support.page_world import World, html

EVIL = Path(__file__).with_name("evil_mail.html").read_text()
"""Tries all that HTML can try; OUTSIDE and PAGE are ports."""

# --- what people do


def test_a_message_appears_at_once(world: World) -> None:
    """Mail that comes while the page is open is listed, said aloud, and opens with a click."""
    page = world.open()
    expect(page.locator("#connection")).to_have_text("live")
    add(world.server, b"From: Shop <s@x>\nSubject: Welcome\n\nHello Ann\n", "new@shop.example")
    expect(page.get_by_role("status")).to_have_text("New message for new@shop.example")
    page.get_by_role("link", name="Welcome").click()
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    expect(page.locator("pre.text")).to_have_text("Hello Ann")
    assert "message=1" in page.url
    page.get_by_role("link", name="new@shop.example 1").click()
    expect(page.locator("#messages-name")).to_have_text("new@shop.example")


def test_a_search_and_the_keyboard(world: World) -> None:
    """Ctrl-K reaches the search, arrows move in the list, Delete removes, and Back goes back."""
    for subject in ("one", "two", "three"):
        add(world.server, f"From: shop@x\nSubject: {subject}\n\n".encode())
    page = world.open()
    page.keyboard.press("Control+k")
    page.keyboard.type("from:shop -subject:two")
    page.keyboard.press("Enter")
    expect(page.locator("#messages li")).to_have_count(2)
    page.locator("#messages a.row").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="one")).to_be_visible()
    page.locator("#messages a.row").first.focus()
    page.keyboard.press("Delete")
    expect(page.locator("#messages li")).to_have_count(1)
    assert [mail.id for mail in world.server.mailboxes.mail()] == [1, 2]
    page.go_back()
    page.go_back()
    page.go_back()
    expect(page.locator("#messages li")).to_have_count(2)


def test_a_conversation_goes_on(world: World) -> None:
    """Lines of a live session appear in their order, and a mark shows at its message."""
    mail = add(world.server, b"Subject: one\n\n")
    page = world.open()
    expect(page.locator("#connection")).to_have_text("live")
    talk = world.server.sessions.open("POP3", "127.0.0.1:5")
    say(talk, "S +OK")
    talk.add("C", "DELE 1", mail=mail.uid)
    say(talk, "S -ERR <b>no</b>")
    say(talk, "S 450 3630")
    talk.note(marked=(mail.uid,))
    world.server.mailboxes.note_marked(mail.mailbox, [mail.uid], talk.number)
    found = page.locator("#session-lines .line")
    expect(found).to_have_count(4)
    expect(found.nth(3)).to_have_class("line server")
    expect(found.nth(1)).to_have_class("line client")
    expect(found.nth(2)).to_have_class("line server refused")
    expect(found.nth(2).locator("code")).to_have_text("-ERR <b>no</b>")
    expect(page.locator("#messages .badge")).to_have_text("marked by #1, not yet removed")
    expect(page.locator("#session-head .notice")).to_contain_text("kept if the connection breaks")


def test_faults_are_switched_on_and_off(world: World) -> None:
    """A wrong name is an error beside the field; a right one is on until it is switched off."""
    page = world.open()
    page.get_by_label("Switch on a fault").fill("retr-cat")
    page.get_by_role("button", name="On", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("did you mean retr-cut"))
    page.get_by_label("Switch on a fault").fill("retr-cut")
    page.keyboard.press("Enter")
    expect(page.locator("#faults li")).to_contain_text("hangs up within a message")
    assert world.server.faults.on == ["retr-cut"]
    page.get_by_role("button", name="Switch off retr-cut").click()
    expect(page.locator("#faults .none")).to_be_visible()
    assert world.server.faults.on == []
    page.locator("#fault").fill("retr-cut")
    page.locator("#fault-mailbox").fill("ann@example.com")
    page.locator("#fault-mailbox").press("Enter")
    expect(page.locator("#faults li")).to_contain_text("for ann@example.com")
    assert world.server.faults.by_user == {"ann@example.com": ["retr-cut"]}
    page.get_by_role("button", name="Switch off retr-cut for ann@example.com").click()
    expect(page.locator("#faults .none")).to_be_visible()


def test_removing_all_asks_first(world: World) -> None:
    """All mail is removed after a question, and kept if the person says no."""
    add(world.server, b"Subject: one\n\n")
    page = world.open()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Remove all").click()
    assert len(world.server.mailboxes.mail()) == 1
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator("#messages .empty")).to_be_visible()
    assert world.server.mailboxes.mail() == []


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 640)])
def test_a_huge_header_leaves_room(world: World, width: int, height: int) -> None:
    """However long subject and names are, the views of a message and its text stay in sight."""
    world.page.set_viewport_size({"width": width, "height": height})
    mail = f"From: {'N' * 900} <a@x>\nSubject: {'very long ' * 90}\n\nHello\n"
    add(world.server, mail.encode(), "ann@example.com")
    page = world.open("/?message=1&show=message")
    expect(page.get_by_role("link", name="Source")).to_be_in_viewport()
    expect(page.locator("pre.text")).to_be_in_viewport()


def test_a_long_name_of_a_picture_is_wrapped(world: World) -> None:
    """The caption of a picture stays within its pane, however long the name of the file is."""
    part = f"Content-Type: image/png\nContent-Disposition: attachment; filename={'x' * 180}.png\n"
    add(world.server, f"Subject: a\n{part}\npng\n".encode(), "ann@example.com")
    page = world.open("/?message=1&show=message")
    overflow = "body => body.scrollWidth - body.clientWidth"
    expect(page.locator("figcaption")).to_be_visible()
    assert page.locator("#message-body").evaluate(overflow) == 0


def test_text_from_right_to_left(world: World) -> None:
    """Hebrew and Arabic are set from the right, in the list, the subject and the text."""
    mail = "From: a@x\nSubject: שבת (a) 1\nContent-Type: text/plain; charset=utf-8\n\nשבת (a) 1\n"
    add(world.server, mail.encode(), "ann@example.com")
    page = world.open("/?message=1&show=message&view=text")
    for place in ("#messages .subject", "#subject", "pre.text"):
        expect(page.locator(place)).to_have_css("direction", "rtl")


def test_a_phone_shows_one_pane(world: World) -> None:
    """A narrow window shows a pane, nothing is cut at its side, and touches lead on and back."""
    add(world.server, html("<p>Hello</p>", "A subject that is longer than a phone is wide, by far"))
    world.page.set_viewport_size({"width": 360, "height": 640})
    page = world.open()
    for pane in ("Conversations", "Faults", "Mail"):
        page.get_by_role("navigation", name="Parts of the page").get_by_text(pane).click()
        expect(page.locator(".pane:visible").last).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("#messages a.row").click()
    expect(page.locator("#subject")).to_be_focused()
    expect(page.frame_locator("iframe").locator("p")).to_have_text("Hello")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("link", name="Messages", exact=True).click()
    expect(page.locator("#messages a.row")).to_be_visible()


@pytest.mark.parametrize(
    ("query", "pane"),
    [
        ("", "messages"),
        ("?session=1", "session"),
        ("?message=1", "message"),
        ("?message=1&session=1", "message"),
        ("?session=1&show=mail", "messages"),
        ("?session=1&show=x", "session"),
    ],
)
def test_a_link_opens_its_pane_on_a_phone(world: World, query: str, pane: str) -> None:
    """A link to a message or to a session opens it, and the tabs lead away from it."""
    add(world.server, html("<p>Hello</p>"))
    say(world.server.sessions.open("POP3", "127.0.0.1"), "S +OK ready.")
    world.page.set_viewport_size({"width": 400, "height": 640})
    page = world.open(f"/{query}")
    expect(page.locator(f".pane.{pane}")).to_be_visible()
    page.get_by_role("navigation", name="Parts of the page").get_by_text("Mail").click()
    expect(page.locator(".pane.messages")).to_be_visible()
    expect(page.locator(".pane.session")).to_be_hidden()


def test_a_zoomed_page_has_room_for_the_message(world: World) -> None:
    """At a zoom of 200 % the frame is higher than half of the window, and scrolls into view."""
    add(world.server, html("<p>Hello</p>"))
    world.page.set_viewport_size({"width": 640, "height": 400})
    frame = world.open("/?message=1&show=message").locator("iframe")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    assert box["height"] >= 200


def test_the_choice_shows_in_forced_colors(world: World) -> None:
    """With a few colors of the system, the chosen view and mailbox differ from the others."""
    for name in ("ann@example.com", "bob@example.com"):
        add(world.server, html("<p>Hello</p>"), name)
    world.page.emulate_media(forced_colors="active")
    page = world.open("/?message=1&show=message&mailbox=ann@example.com")
    for edge, links in (("left", ".mailboxes a"), ("bottom", ".tabs a")):
        color = f"(all) => all.map((one) => getComputedStyle(one).border{edge.title()}Color)"
        chosen = page.locator(f"{links}[aria-current]").evaluate_all(color)
        others = page.locator(f"{links}:not([aria-current])").evaluate_all(color)
        assert len(chosen) == 1
        assert others
        assert chosen[0] not in others


# --- what messages try


@pytest.mark.parametrize("path", ["/?message=1&show=message", "/messages/1/html"])
def test_html_runs_nothing_and_fetches_nothing(world: World, path: str) -> None:
    """HTML is shown, but no script ran, nothing was removed, and no request left the machine."""
    page_port = world.url.rpartition(":")[2]
    evil = EVIL.replace("OUTSIDE", str(world.outside.port)).replace("PAGE", page_port)
    add(world.server, html(evil))
    page = world.open(path)
    direct = "show=" not in path
    text = page.locator("#text") if direct else page.frame_locator("iframe").locator("#text")
    expect(text).to_have_text("Your invoice")
    # Chromium sometimes never ends the loading of a page of which it blocks a frame.
    with contextlib.suppress(LateError):
        page.wait_for_load_state("networkidle" if direct else "load", timeout=10_000)
    text.locator("xpath=..").locator("#js").click()
    assert page.title() != "pwned"
    assert world.outside.asked == []
    assert len(world.server.mailboxes.mail()) == 1
    with world.context.expect_page() as opened:
        text.locator("xpath=..").locator("#out").click()
    wait_until(lambda: "/clicked" in world.outside.asked)
    wait_until(lambda: opened.value.evaluate("document.readyState") == "complete")
    assert "/clicked" in world.outside.asked  # the listener can be reached, and only a click does
    assert set(world.outside.asked) <= {"/clicked", "/favicon.ico"}
    assert opened.value.evaluate("[window.opener, document.referrer]") == [None, ""]


def test_a_websocket_of_the_own_page(world: World) -> None:
    """Mailpit's websocket works at the page's port, and ends with the server."""
    page = world.open()
    page.evaluate("""() => {
        const socket = new WebSocket(`ws://${location.host}/api/events`);
        window.opened = new Promise((yes) => { socket.onopen = () => yes("opened"); });
        window.said = new Promise((yes) => {
            const kinds = [];
            socket.onmessage = (event) => {
                kinds.push(JSON.parse(event.data).Type);
                if (kinds.includes("stats")) yes(kinds);
            };
        });
    }""")
    assert page.evaluate("window.opened") == "opened"
    add(world.server, b"Subject: one\n\n")
    assert page.evaluate("window.said") == ["new", "stats"]


def test_a_subject_is_text(world: World) -> None:
    """Markup in a header is shown as text, in the list and in the heading."""
    add(world.server, b"Subject: <img src=x onerror=document.title='pwned'>\n\n")
    page = world.open("/?message=1&show=message")
    expect(page.get_by_role("heading", name="<img src=x")).to_be_visible()
    assert page.title() != "pwned"


# --- what other sites try


def test_another_site_reads_and_changes_nothing(world: World) -> None:
    """A page elsewhere can neither read the mail, nor remove it, nor show the page in a frame."""
    add(world.server, b"Subject: secret\n\n")
    world.outside.pages["/attack"] = f"""<iframe id=frame src="{world.url}/"></iframe>
        <img src="{world.url}/api/messages/1/parts/1">
        <form method=post action="{world.url}/api/messages"></form>"""
    page = world.page
    page.goto(f"http://evil.example:{world.outside.port}/attack")
    tried = page.evaluate(
        """async (url) => {
            const tries = [
                fetch(`${url}/api/messages`).then((answer) => answer.text()),
                fetch(`${url}/api/messages`, {mode: "no-cors"}).then((answer) => answer.text()),
                fetch(`${url}/api/messages`, {method: "DELETE"}),
                fetch(`${url}/api/messages`, {method: "POST", mode: "no-cors"}),
                fetch(`${url}/api/faults`, {method: "PUT", body: "{}"}),
                new Promise((yes, no) => {
                    const events = new EventSource(`${url}/api/events`);
                    events.onopen = () => yes("opened"); events.onerror = no;
                }),
                new Promise((yes, no) => {
                    const socket = new WebSocket(`${url.replace("http", "ws")}/api/events`);
                    socket.onopen = () => yes("opened"); socket.onerror = no;
                }),
            ];
            return (await Promise.allSettled(tries)).map((one) => String(one.value ?? ""));
        }""",
        world.url,
    )
    assert not any("secret" in text for text in tried)
    assert "opened" not in tried
    assert len(world.server.mailboxes.mail()) == 1
    expect(page.frame_locator("#frame").locator("header")).to_have_count(0)
    page.evaluate("document.forms[0].submit()")
    expect(page.locator("body")).not_to_contain_text("secret")
    assert len(world.server.mailboxes.mail()) == 1


def test_a_name_that_was_pointed_here_gets_nothing(world: World) -> None:
    """DNS rebinding: the browser believes that our answers come from the other site."""
    add(world.server, b"Subject: secret\n\n")
    port = world.url.rpartition(":")[2]
    answer = world.page.goto(f"http://evil.example:{port}/api/messages")
    assert answer is not None
    assert answer.status == 400
    assert "secret" not in answer.text()


def test_the_port_is_this_machine_s(world: World) -> None:
    """Another address of the loopback network does not reach the page."""
    port = int(world.url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), 20)
