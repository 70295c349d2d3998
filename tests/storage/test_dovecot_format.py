"""Formats of Dovecot's `pop3_uidl_format`, and what they make: rfc1939-s7/top.

tests/docs/test_migrate.py has Dovecot itself make the same.
"""

from __future__ import annotations

import pytest

from restante.storage.dovecot_format import DovecotFormat, FormatValues

NAME = b"1764.M1P2.mail-7.Example,S=18"
MESSAGE = FormatValues(27, 1795574427, NAME, b"4a5b6c", b"0123456789abcdef")


@pytest.mark.parametrize(
    ("form", "uid"),
    [
        ("%08Xu%08Xv", "0000001b6b064a9b"),
        ("%v-%u", "1795574427-27"),
        ("%v.%u", "1795574427.27"),
        ("%Xu%Xv", "1b6b064a9b"),
        ("%05u%Xv", "000276b064a9b"),
        ("UID%u-{%v}", "UID27-{1795574427}"),
        ("%f", NAME.decode()),
        ("%g", "4a5b6c"),
        ("%m", "0123456789abcdef"),
        ("%Ug-%Lf", "4A5B6C-1764.m1p2.mail-7.example,s=18"),
        ("%Mg", "021e26cd1924f3172b911de75c643e0f"),
        ("%4f", "1764"),
        ("%5.2f", "M1"),
        ("%-4.f", "S=18"),
        ("%u%%", "27%"),
        ("%{uid | hex(8)}%{uidvalidity | hex(8)}", "0000001b6b064a9b"),
        ("%{uid|hex(8)}%{uidvalidity|hex(8)}", "0000001b6b064a9b"),
        ("%{uidvalidity}.%{uid}", "1795574427.27"),
        ("%{filename}", NAME.decode()),
        ("%{ guid | upper }", "4A5B6C"),
        ("%{uidvalidity | hex(4)}%{uid | hex}", "4a9b1b"),
        ("%{guid | md5}", "021e26cd1924f3172b911de75c643e0f"),
        ("%{guid | md5 | hexlify(4)}", "021e"),
    ],
)
def test_a_format_makes_what_dovecot_makes(form: str, uid: str) -> None:
    """A format makes the same unique-id as Dovecot."""
    assert DovecotFormat(form)(MESSAGE) == uid


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ("", "Expected what Dovecot's"),
        ("Own", "Expected what Dovecot's"),
        ("%v", "at least one of %u, %f"),
        ("%{uidvalidity}", "at least one of %u, %f"),
        ("%u %v", "no space"),
        ("%u%", "Not known to Dovecot"),
        ("%u%w", "%w"),
        ("%\u00fc%u", "ASCII"),
        ("%u" + "x" * 500, "500"),
        ("%0999u", "width"),
        ("%u%{sha256:guid}", "pop3_save_uidl"),
        ("%u.%{uidvalidity}", "pop3_save_uidl"),
        ("%{uid | regexp('a','b')}", "pop3_save_uidl"),
        ("%{uid | hex(9999)}", "width"),
        ("%{guid | hex(8)}", "hexlify"),
        ("%{guid | base64}", "pop3_save_uidl"),
        ("%{user}", "filename"),
        ("%{uid", "Not known to Dovecot"),
    ],
)
def test_a_format_that_cannot_be_followed_is_refused(form: str, named: str) -> None:
    """A format that cannot be followed is an error that names the part."""
    with pytest.raises(ValueError, match=r"Expected|Not|Only") as refused:
        DovecotFormat(form)
    assert named in str(refused.value)


@pytest.mark.parametrize("form", ["%f", "%g", "x%f.%Rg", "%Mf", "%300.f%0400f", "%{guid | sha1}"])
def test_whole_names_are_enough_to_tell_messages_apart(form: str) -> None:
    """A format with the whole file name gives unique values."""
    assert DovecotFormat(form).by_name


@pytest.mark.parametrize("form", ["%u", "%v%f", "%8f", "%Lf", "%Hf", "%{guid | md5 | hexlify(8)}"])
def test_parts_of_names_and_numbers_are_not_enough(form: str) -> None:
    """A format with only a part of the name does not give unique values."""
    assert not DovecotFormat(form).by_name
