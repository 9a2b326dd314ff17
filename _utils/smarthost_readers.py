# SPDX-License-Identifier: Apache-2.0
"""
Read one value of the pillar each: bring it into its regular form, or say in a sentence what is wrong with it.

Pure functions: no file, no program and no Salt dunder is touched. A sentence names the place and never the value, which
could be a password.

Sources: addresses are those of RFC 5321 4.1.2 without quoted strings; host names those of RFC 1123 2.1; for what
Postfix cannot hold, postmap(1) and ``smtp_sasl_password_maps`` in postconf(5).
"""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Callable
from typing import Any

from smarthost_names import certificates, is_ip_address, xn_form
from smarthost_settings import TUNABLE, refused, setting_text
from smarthost_text import in_typographic_quotes, odd_characters

# A reader gets the value and returns its regular form, or raises Wrong.
Reader = Callable[[Any], Any]

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Without re.ASCII, re.IGNORECASE takes some letters outside ASCII for these.
_IGNORE_CASE = re.IGNORECASE | re.ASCII
_HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}", _IGNORE_CASE)
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}", _IGNORE_CASE)
_ATOM = r"[a-z0-9!#$%&'*+/=?^_{|}~-]+"
# Not with a leading "-", an option, or "#", a comment in a table.
_LOCAL_PART = re.compile(rf"(?=.{{1,64}}\Z)(?![#-]){_ATOM}(?:\.{_ATOM})*", _IGNORE_CASE)
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){31}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PARAMETER = re.compile(r"[A-Za-z0-9_-]{1,100}")
# RFC 6749, appendix A.1, without the blank.
_CLIENT = re.compile(r"[!-~]{1,1000}")
_SCOPE = re.compile(r"[!#-\[\]-~]{1,200}")
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})")
_URL = re.compile(r"https://(?P<host>[A-Za-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?/[A-Za-z0-9._~/-]{0,500}")
_LOCAL_DOMAINS = ("localdomain", "localhost")
# What YAML 1.1 makes of 0465.
_OCTAL_465 = 0o465


class Wrong(Exception):  # noqa: N818 - it is no error of the program
    """
    What is wrong with a value.

    The arguments are sentences without their full stops. One that begins with a blank or a colon goes on after the name
    of the key.
    """


def flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise Wrong(" must be true or false")
    return value


def choice(*choices: str) -> Reader:
    """Return the reader of one of some words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise Wrong(f" must be one of {', '.join(choices)}")

    return read


def listing(value: object) -> list[Any]:
    """Read a list; nothing is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Wrong(" must be a list")
    return value


def each(read: Reader, name: str) -> Reader:
    """Return the reader of a list whose items are read one by one, and named by their number."""

    def read_all(value: object) -> list[Any]:
        found, wrong = [], []
        for number, item in enumerate(listing(value), 1):
            try:
                found.append(read(item))
            except Wrong as problem:
                wrong += [name.format(number) + told for told in problem.args]
        if wrong:
            raise Wrong(*wrong)
        return found

    return read_all


def sender(value: object) -> str:
    """Read a mail address, or a whole domain as ``@example.com``."""
    return address(value, whole=True)


def address(value: object, whole: bool = False) -> str:
    """Read a mail address, or, if that may be, a whole domain."""
    text = visible(value, " must be a mail address like your.mail@example.com")
    local, at, domain = text.rpartition("@")
    is_domain = bool(at and not local and _DOMAIN.fullmatch(domain))
    if is_domain and not whole:
        raise Wrong(" is a whole domain: give one address here, and the domain under senders")
    if whole and local == "*":
        raise Wrong(" has a star: write all addresses of a domain as @example.com")
    if not text.isascii():
        form = xn_form(domain)
        xn = f"write the domain as {form}" if form else "write the domain in its xn-- form"
        rest = "" if local.isascii() else "; a local part outside ASCII cannot be used"
        raise Wrong(f" is not ASCII: {xn}{rest}")
    if not ((is_domain or _LOCAL_PART.fullmatch(local)) and _DOMAIN.fullmatch(domain) and len(text) <= 254):
        raise Wrong(" is not a mail address like your.mail@example.com")
    if _is_local(domain):
        raise Wrong(" is an address inside the qube: give the one at your provider")
    return text


def relay(value: object) -> str:
    """Read the host name or IP address of a relay."""
    return _host(value, "submission server")


def mail_server(value: object) -> str:
    """Read the host name or IP address of a server that mail is fetched from."""
    return _host(value, "IMAP or POP3 server")


def _host(value: object, what: str) -> str:
    text = visible(value, f" must be the host name of the provider's {what}")
    if text.lower() == "localhost":
        # DNS, which smtp(8) asks, may not know it, or say anything.
        return "127.0.0.1"
    if is_ip_address(text):
        return text.lower()
    if not text.isascii():
        form = xn_form(text)
        raise Wrong(f" is not ASCII: write {f'it as {form}' if form else 'its xn-- form'}")
    if "[" in text or ":" in text:
        raise Wrong(" must be a bare host name like mail.example.com: the port goes into port")
    if not _HOST.fullmatch(text):
        raise Wrong(" is not a host name like mail.example.com")
    return text.lower()


def port(value: object) -> int:
    """Read the number of a TCP port."""
    if value == _OCTAL_465 or (isinstance(value, str) and re.fullmatch(r"0[0-9]{1,5}", value)):
        raise Wrong(" begins with a zero, which makes it another number for YAML: write 465, 587 or the like")
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise Wrong(" must be a number from 1 to 65535 without quotes, usually 587 or 465")
    return value


def seconds(least: int, most: int) -> Reader:
    """Return the reader of a number of seconds between two, which may be either."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Wrong(f" must be a number of seconds from {least} to {most} without quotes")
        return value

    return read


def username(value: object) -> str:
    """Read what to log in with."""
    if not isinstance(value, str):
        raise Wrong(" must be text: put it in quotes")
    if value == "":
        raise Wrong(" is empty: leave the key out to use the address")
    if ":" in value:
        raise Wrong(" holds a colon, which Postfix takes for the end of the name")
    if value != value.strip(" ") or not is_utf8(value) or re.search(r"[\x00-\x1f\x7f]", value):
        raise Wrong(" must be UTF-8 without control characters and without white space at its ends")
    _see(value)
    return value


def password(value: object) -> str:
    """Read a password."""
    if not isinstance(value, str):
        raise Wrong(" is not text for YAML: put it in quotes")
    if value == "":
        raise Wrong("the password is empty")
    if not is_utf8(value):
        raise Wrong("the password is not UTF-8, which Postfix cannot hold")
    if re.search(r"[\n\r\0]", value):
        raise Wrong("the password holds a line break or a NUL byte, which Postfix cannot hold")
    if value[-1] in " \t\v\f":
        raise Wrong(
            "the password ends with white space, which Postfix cannot hold: change it at the provider"
        )
    if value[0] in " \t\v\f":
        raise Wrong(
            "the password begins with white space: leave it out, or change the password at the provider"
        )
    try:
        _see(value)
    except Wrong as problem:
        raise Wrong(f"the password{problem.args[0]}, or change it at the provider") from None
    return value


def password_base64(value: object) -> str:
    """Read a password in base64."""
    try:
        if not isinstance(value, str):
            raise ValueError
        # What is not UTF-8 stays recognisable, for the sentence on it.
        text = base64.b64decode("".join(value.split()), validate=True).decode("utf-8", "surrogateescape")
    except (ValueError, binascii.Error):
        raise Wrong(" is not valid base64") from None
    # In the same words for both keys: dom0's pillar turns one into the other.
    return password(text)


def client_text(value: object) -> str:
    """Read the ID or the secret of an OAuth application."""
    text = visible(value, " must be text: put it in quotes")
    if not _CLIENT.fullmatch(text):
        raise Wrong(
            " is empty, too long, or holds a blank or a letter outside ASCII: copy it from the provider"
        )
    return text


def tenant(value: object) -> str:
    """Read the tenant of a directory of Microsoft's."""
    text = visible(
        value, " must be common, consumers, organizations, or the ID or domain of the organisation"
    )
    if not _TENANT.fullmatch(text):
        raise Wrong(" must be common, consumers, organizations, or the ID or domain of the organisation")
    return text


def endpoint(value: object) -> str:
    """Read the URL of an endpoint: over TLS, with the name of a host."""
    what = " must be a URL like https://login.example.com/oauth2/token"
    found = _URL.fullmatch(visible(value, what))
    if not found or not _DOMAIN.fullmatch(found["host"]) or not 0 < int(found["port"] or 443) < 65536:
        raise Wrong(what)
    return found[0]


def scope(value: object) -> str:
    """Read the scopes of a token (RFC 6749 3.3)."""
    words = visible(value, " must be text: put it in quotes").split(" ")
    if not all(_SCOPE.fullmatch(word) for word in words):
        raise Wrong(" must be scopes with one blank between them, as the provider writes them")
    return " ".join(words)


def only_in_dom0(value: object) -> str:
    """Refuse what dom0's pillar should have replaced."""
    raise Wrong(" is for qubes.yaml in dom0: give password or password_base64")


def ca(value: object) -> str:
    """Read the certificates of a private CA."""
    if not isinstance(value, str):
        raise Wrong(" must be the text of a PEM certificate")
    try:
        return certificates(value)
    except ValueError as problem:
        raise Wrong(f" {problem}") from None


def fingerprints(value: object) -> list[str]:
    """Read a list of SHA-256 fingerprints."""
    found, wrong = [], []
    for item in listing(value):
        text = item.upper() if isinstance(item, str) else ""
        if _FINGERPRINT.fullmatch(text):
            found.append(text)
        else:
            wrong.append(
                " must hold SHA-256 fingerprints, 32 pairs of hexadecimal digits with colons between them, in quotes"
                ' ("AB:CD:...")'
            )
    if wrong:
        raise Wrong(*wrong)
    if not found:
        raise Wrong(" is empty: give a SHA-256 fingerprint, or leave the key out")
    return found


def discarded(value: object) -> str:
    """Read a domain or an address whose mail is thrown away."""
    name = value.lower() if isinstance(value, str) else ""
    local, at, domain = name.rpartition("@")
    if isinstance(value, str):
        _see(value)
    if not _DOMAIN.fullmatch(domain) or (at and not _LOCAL_PART.fullmatch(local)):
        raise Wrong(" is neither a domain nor a mail address")
    if _is_local(domain):
        raise Wrong(" would discard mail from inside the qube: leave it out")
    return name


def settings(value: object) -> dict[str, str]:
    """Read parameters of main.cf."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Wrong(" must be a mapping from main.cf parameters to values")
    found, wrong = {}, []
    for name, setting in value.items():
        if not isinstance(name, str) or not _PARAMETER.fullmatch(name):
            wrong.append(": a key is not the name of a main.cf parameter")
        elif why := refused(name):
            wrong.append(f": {name} cannot be set: {why[0]}; {why[1]}")
        elif (text := setting_text(setting)) is None or not TUNABLE[name].takes(text):
            wrong.append(f": {name} must be {TUNABLE[name].must_be}")
        else:
            found[name] = text
    if wrong:
        raise Wrong(*wrong)
    return found


def user(value: object) -> str:
    """Read the name of the local user."""
    if isinstance(value, str) and _USER.fullmatch(value) and value != "root":
        return value
    raise Wrong(" must be the name of the local user who reads the mail, in Qubes usually user")


def unknown_key(key: object, known: list[str]) -> str:
    """Return what to say of a key that there is not, and do not show it: `{password, hunter}` is one to YAML."""
    text = key if isinstance(key, str) else ""
    plain = re.sub(r"[^a-z0-9_]", "", text.lower().replace("-", "_"))
    close = difflib.get_close_matches(plain, known, 1, 0.7)
    odd = odd_characters(text)
    which = f", which holds {odd}" if odd else ""
    return f"an unknown key{which}: " + (f"did you mean {close[0]}" if close else f"use {', '.join(known)}")


def is_utf8(value: str) -> bool:
    """Tell whether a text can be written in UTF-8: one with half of a surrogate pair cannot."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def visible(value: object, otherwise: str) -> str:
    """Return a text that holds what can be seen; a text is asked for in the words given."""
    if not isinstance(value, str) or not value:
        raise Wrong(otherwise)
    _see(value)
    if value != value.strip(" "):
        raise Wrong(" begins or ends with a blank: leave it out")
    return value


def _see(value: str) -> None:
    """Raise Wrong for a text with a character that one cannot see, or takes for another."""
    if odd := odd_characters(value):
        raise Wrong(f" holds {odd}, which cannot be seen or told apart: type it anew")
    if in_typographic_quotes(value):
        raise Wrong(
            " begins or ends with a typographic quotation mark, no quote to YAML: type it anew with ' around it"
        )


def _is_local(domain: str) -> bool:
    return domain.lower().rpartition(".")[2] in _LOCAL_DOMAINS
