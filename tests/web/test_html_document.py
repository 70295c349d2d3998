"""The HTML of a message as a document for a frame."""

from __future__ import annotations

from restante.web import html_document
from restante.web.html_document import document
from restante.web.message_view import MessageView
from support.page_client import add, quiet_server

PIXEL = {"logo@x": ("image/png", b"PNG")}


def test_links_open_beside_the_page() -> None:
    """The document is as it was sent, but for where its links open."""
    target = '<base target="_blank">'
    assert document("<!DOCTYPE html><html><head lang=en><p>", {}) == (
        f"<!DOCTYPE html><html><head lang=en>{target}<p>"
    )
    assert document("<!doctype html>\n<p>", {}) == f"<!doctype html>{target}\n<p>"
    assert document("<p>", {}) == f"{target}<p>"


def test_nothing_connects_ahead() -> None:
    """Elements that connect or look up a name ahead of a request have another name."""
    shown = document(
        '<LINK rel=preconnect href=//a><svg><link/></svg><iframe srcdoc\n="&lt;link rel=x>">', {}
    )
    assert shown.endswith(
        "<basefont rel=preconnect href=//a><svg><basefont/></svg>"
        '<iframe no-srcdoc\n="&lt;link rel=x>">'
    )


def test_inline_pictures_are_within() -> None:
    """A picture of the message is in the document; nothing else is."""
    page = """<img src="cid:logo%40x"><p style="background:url(CID:logo@x)"><img src=cid:other>"""
    shown = document(page, PIXEL)
    assert shown.count("data:image/png;base64,UE5H") == 2
    assert "cid:other" in shown
    assert "cid:" in document('<img src="cid:a">', {"a": ("text/html", b"x")})


def test_inline_pictures_are_bounded() -> None:
    """A picture that is used without end does not make a document without end."""
    big = {"a": ("image/png", bytes(html_document.MAX_INLINED // 2 + 1))}
    assert document('<img src="cid:a">' * 9, big).count("data:") == 1


def test_a_message_shows_its_own_pictures() -> None:
    """Content-ID leads from the HTML to the part."""
    mail = add(
        quiet_server(),
        b"Content-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html\n\n"
        b'<img src="cid:1@x">\n--x\nContent-Type: image/gif\nContent-ID: <1@x>\n\nGIF\n--x--\n',
    )
    assert "data:image/gif;base64,R0lG" in MessageView(mail).document
