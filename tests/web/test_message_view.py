"""A message as the page shows it, and how much of it is kept."""

from __future__ import annotations

from restante.mail import message
from restante.web import message_view
from restante.web.message_view import MessageView, ViewCache
from support.page_client import add, page_client, quiet_server


def test_a_message_is_decoded_once() -> None:
    """The cache gives the same decoded text for a message whose marks changed."""
    server, cache = quiet_server(), ViewCache()
    mail = add(server, b"Subject: a\n\nhello\n")
    decoded = cache.view(mail).decoded
    server.mailboxes.note_marked(mail.mailbox, [mail.uid], 7)
    (marked,) = server.mailboxes.mail()
    assert cache.view(marked).decoded is decoded
    assert cache.view(marked).mail.marked_by == 7


def test_the_cache_is_bounded() -> None:
    """The messages that were shown longest ago are decoded anew."""
    server, cache = quiet_server(), ViewCache(most_octets=25)
    first, second, third = (add(server, b"%d" % number * 10) for number in range(3))
    decoded = [cache.view(mail).decoded for mail in (first, second)]
    assert cache.view(first).decoded is decoded[0]
    cache.view(third)
    assert cache.view(first).decoded is decoded[0]
    assert cache.view(second).decoded is not decoded[1]


def test_a_long_source_is_cut() -> None:
    """The page shows the beginning of a big message, and how much is left out."""
    mail = add(quiet_server(), b"Subject: a\r\n\r\n" + b"x" * message_view.MAX_SOURCE)
    view = MessageView(mail)
    assert view.source.startswith("Subject: a\n\nxxx")
    assert view.source_left_out == 14


def test_long_texts_are_cut() -> None:
    """The page says how much of a big text and of big HTML it does not show."""
    server = quiet_server()
    texts = {b"plain": message.MAX_TEXT + 7, b"html": message_view.MAX_HTML + 8}
    for kind, octets in texts.items():
        add(server, b"Content-Type: text/" + kind + b"\n\n" + b"x" * octets)
    client = page_client(server)
    assert ">7 octets follow. Download the message" in client.get("/?message=1&view=text").text
    assert ">8 octets follow. Download the message" in client.get("/?message=2&view=html").text
    add(server, b"Subject: a\n\nx\n")
    assert "octets follow" not in client.get("/?message=3&view=text").text


def test_names_of_files_differ() -> None:
    """Two parts of one name get two names, and no name leads elsewhere."""
    part = b"--x\nContent-Disposition: attachment; filename=../a.pdf\n\nPDF\n"
    mail = add(quiet_server(), b"Content-Type: multipart/mixed; boundary=x\n\n" + part * 2)
    assert [row.name for row in MessageView(mail).attachments] == ["a.pdf", "a (2).pdf"]
