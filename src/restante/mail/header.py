"""The header of a message for programs: an EmailMessage whose fields never raise.

The email package parses a field when it is asked for, with recursion and in quadratic time. Here
the readers of this package do that instead, and the values have the package's types all the same:
`header["from"].addresses`, `header["date"].datetime`, `header.get_content_type()`.
"""

from __future__ import annotations

import binascii
import re
from email import headerregistry, policy
from email.headerregistry import Address, Group
from email.message import EmailMessage
from typing import Any, cast

from restante.mail import addresses, dates, encoded_words, parameters
from restante.mail.fields import split

LONGEST_WRITTEN = 998  # characters of a value that the email package folds
MAX_ENCODED = 200  # characters beyond ASCII of such a value

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]{1,15}")
_WORD = re.compile(".{1,15}", re.DOTALL)
_UNFIT = re.compile(r"[\r\n\x00]+")
_TOKEN = re.compile(r"[!#$&+.0-9A-Z^_`a-z{|}~-]+")
_VERSION = re.compile(r"\s{0,9}(\d{1,9})\s{0,9}\.\s{0,9}(\d{1,9})")


def header_of(octets: bytes) -> EmailMessage:
    """Return the header of a message, with no body, whatever follows it. Raises nothing.

    Of a header, a field and a list of addresses it keeps what `restante.mail.fields` and
    `restante.mail.addresses` say.
    """
    message = EmailMessage(policy=_POLICY)
    for field in split(octets).fields:
        lines = field.octets.strip(b" \t\r\n").splitlines()
        message.set_raw(field.name, b"\n".join(lines).decode("ascii", "surrogateescape"))
    message.set_payload("")
    return message


class _Field:
    """The part that all kinds of field share: a text that was decoded here."""

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Fill in what the value says, as email.headerregistry has it."""
        octets = _octets(value).replace(b"\n", b"")
        kwds["decoded"] = _clean(encoded_words.decode(octets))
        kwds["parse_tree"] = None
        cls.fill(octets, kwds)

    @classmethod
    def fill(cls, octets: bytes, kwds: dict[str, Any]) -> None:
        """Fill in what this kind of field has besides."""

    def fold(self, *, policy: Any) -> str:
        """Return the field as it is sent: folded where that is short work, else in one line."""
        name, text = str(getattr(self, "name", "")), str(self)
        beyond = len(_BEYOND_ASCII.sub("", text))
        if len(text) <= LONGEST_WRITTEN and len(text) - beyond <= MAX_ENCODED:
            try:
                return str(_WRITER(name, text).fold(policy=policy))
            except Exception:  # noqa: BLE001, S110  # the email package trips over some fields
                pass
        return _line(name, text, policy)


class _Text(_Field, headerregistry.UnstructuredHeader):
    pass


class _Addresses(_Field, headerregistry.AddressHeader):
    @classmethod
    def fill(cls, octets: bytes, kwds: dict[str, Any]) -> None:
        mailboxes = addresses.parse(octets)
        kwds["groups"] = [Group(None, (_address(mailbox),)) for mailbox in mailboxes]
        if mailboxes and all(mailbox.address for mailbox in mailboxes):
            kwds["decoded"] = ", ".join(map(str, kwds["groups"]))

    def fold(self, *, policy: Any) -> str:
        """Return the field as it is sent: in ASCII an address a line, with names as encoded words.

        The email package needs up to 2 ms for each such character, and a header may have many.
        """
        name, text = str(getattr(self, "name", "")), str(self)
        if policy.utf8 or text.isascii():
            return super().fold(policy=policy)
        if not self.addresses:
            return _line(name, text, policy)
        lines = f",{policy.linesep} ".join(map(_write_address, self.addresses))
        return f"{name}: {lines}{policy.linesep}"


class _Address(_Addresses, headerregistry.SingleAddressHeader):
    @property
    def address(self) -> Address:
        """The first address, or an empty one."""
        return self.addresses[0] if self.addresses else Address()


class _Date(_Field, headerregistry.DateHeader):  # type: ignore[misc]  # str alone is parsed
    @classmethod
    def fill(cls, octets: bytes, kwds: dict[str, Any]) -> None:  # noqa: ARG003  # see _Field
        kwds["datetime"] = dates.parse(kwds["decoded"])


class _WithParameters(_Field):
    """A value and parameters, whose text is written anew: the email package reads that again."""

    @classmethod
    def fill(cls, octets: bytes, kwds: dict[str, Any]) -> None:
        value, params = parameters.parse(octets)
        kwds["params"] = {_clean(name): _clean(text) for name, text in params.items()}
        written = [cls.value_of(_clean(value), kwds)]
        for name, text in kwds["params"].items():
            if _TOKEN.fullmatch(name):
                quoted = text.replace("\\", "\\\\").replace('"', '\\"')
                written.append(text and f'{name}="{quoted}"')
        if any(written):
            kwds["decoded"] = "; ".join([written[0], *filter(None, written[1:])])
        else:  # a raw `filename*` makes the email package raise
            kwds["decoded"] = kwds["decoded"].partition(";")[0]

    @classmethod
    def value_of(cls, value: str, kwds: dict[str, Any]) -> str:
        """Fill in what the value says, and return it as it is to be read."""
        raise NotImplementedError


class _ContentType(_WithParameters, headerregistry.ContentTypeHeader):
    @classmethod
    def value_of(cls, value: str, kwds: dict[str, Any]) -> str:
        main, slash, sub = value.partition("/")
        is_valid = bool(slash and _TOKEN.fullmatch(main) and _TOKEN.fullmatch(sub))
        kwds["maintype"], kwds["subtype"] = (main, sub) if is_valid else ("text", "plain")
        return f"{kwds['maintype']}/{kwds['subtype']}"

    def init(self, *args: Any, **kw: Any) -> None:
        self._maintype, self._subtype = kw.pop("maintype"), kw.pop("subtype")
        _init(self, *args, **kw)


class _Disposition(_WithParameters, headerregistry.ContentDispositionHeader):
    @classmethod
    def value_of(cls, value: str, kwds: dict[str, Any]) -> str:
        kwds["placed"] = value
        return value

    def init(self, *args: Any, **kw: Any) -> None:
        self._content_disposition = kw.pop("placed")
        _init(self, *args, **kw)


def _init(header: Any, *args: Any, **kw: Any) -> None:
    header._params = kw.pop("params")  # noqa: SLF001  # as ParameterizedMIMEHeader.init does
    _base_init(header, *args, **kw)


def _base_init(header: Any, *args: Any, **kw: Any) -> None:
    headerregistry.BaseHeader.init(header, *args, **kw)


class _Encoding(_Field, headerregistry.ContentTransferEncodingHeader):
    def init(self, *args: Any, **kw: Any) -> None:
        self._cte = str(self).partition(";")[0].partition("(")[0].strip().lower() or "7bit"
        _base_init(self, *args, **kw)


class _Version(_Field, headerregistry.MIMEVersionHeader):
    @classmethod
    def fill(cls, octets: bytes, kwds: dict[str, Any]) -> None:  # noqa: ARG003  # see _Field
        match = _VERSION.match(kwds["decoded"])
        kwds["major"], kwds["minor"] = map(int, match.groups()) if match else (None, None)
        kwds["version"] = f"{kwds['major']}.{kwds['minor']}" if match else None


def _line(name: str, text: str, policy: Any) -> str:
    """Return a field in one line of ASCII."""
    return f"{name}: {_BEYOND_ASCII.sub(_encode_word, text)}{policy.linesep}"


def _address(mailbox: addresses.Mailbox) -> Address:
    local, _, domain = mailbox.address.rpartition("@")
    if not local:
        local, domain = domain, ""
    return Address(_clean(mailbox.name), _clean(local), _clean(domain))


def _write_address(address: Address) -> str:
    """Return an address in ASCII. RFC 2047 section 5."""
    name, spec = address.display_name, address.addr_spec
    if name.isascii() and spec.isascii():
        return str(address)
    words = _WORD.sub(_encode_word, name).split()
    spec = _BEYOND_ASCII.sub(_encode_word, spec).strip()
    return " ".join(words if spec == "<>" else [*words, f"<{spec}>"])


def _encode_word(match: re.Match[str]) -> str:
    """Return characters as an encoded word, which stands between blanks."""
    coded = binascii.b2a_base64(match[0].encode(errors="replace"), newline=False).decode()
    return f" =?utf-8?b?{coded}?= "


def _octets(text: str) -> bytes:
    """Return the octets that the email package keeps as a text."""
    return text.encode("utf-8", "surrogateescape")


def _clean(text: str) -> str:
    """Return a text without what the email package refuses: line ends, and lone surrogates."""
    text = _UNFIT.sub(" ", text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class _Policy(policy.EmailPolicy):
    """A policy by which fields are read here, and written as they came."""

    def header_fetch_parse(self, name: str, value: Any) -> Any:
        """Return a field's value with its type."""
        if hasattr(value, "name"):
            return value
        return _READER(name, value)

    def fold(self, name: str, value: Any) -> str:
        """Return a field for text, in ASCII or what this policy's `utf8` allows."""
        if hasattr(value, "name") or not value.isascii():
            return cast("str", self.header_fetch_parse(name, value).fold(policy=self))
        return f"{name}: {value}\n".replace("\n", self.linesep)

    def fold_binary(self, name: str, value: Any) -> bytes:
        """Return a field as its octets came."""
        if hasattr(value, "name"):
            return _octets(value.fold(policy=self))
        return f"{name}: ".encode() + _octets(f"{value}\n".replace("\n", self.linesep))


_WRITER = headerregistry.HeaderRegistry()
_READER = headerregistry.HeaderRegistry(default_class=_Text, use_default_map=False)
_KINDS: dict[str, type] = {
    "bcc": _Addresses,
    "cc": _Addresses,
    "content-disposition": _Disposition,
    "content-transfer-encoding": _Encoding,
    "content-type": _ContentType,
    "date": _Date,
    "from": _Addresses,
    "mime-version": _Version,
    "orig-date": _Date,
    "reply-to": _Addresses,
    "resent-bcc": _Addresses,
    "resent-cc": _Addresses,
    "resent-date": _Date,
    "resent-from": _Addresses,
    "resent-reply-to": _Addresses,
    "resent-sender": _Address,
    "resent-to": _Addresses,
    "sender": _Address,
    "to": _Addresses,
}
for _name, _kind in _KINDS.items():
    _READER.map_to_type(_name, _kind)
_POLICY = _Policy(refold_source="none", utf8=False)
