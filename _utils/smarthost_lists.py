# SPDX-License-Identifier: Apache-2.0
"""
What mail of a list, or to an account, is known by, and the folder that it goes to: ``lists``, ``accounts:folder``.

Pure functions. Sources: RFC 2919 on List-Id, RFC 5322 2.2 and 3.2 on headers, comments and quoted strings;
procmailrc(5) and the regular expressions of procmail 3.22 (its regexp.c).
"""

from __future__ import annotations

import re
from typing import Any

from smarthost_readers import Wrong, visible

_FOLDER_PART = r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*"
_FOLDER = re.compile(rf"(?=.{{1,200}}\Z){_FOLDER_PART}(?:/{_FOLDER_PART})*")
_OWN_FOLDERS = {"cur", "new", "tmp"}
# As the header has it, whole or without what is around it.
_LIST_ID = re.compile(r"(?:[^<>\n\r]*<)?[ \t]*([!-;=?-~]{1,255})[ \t]*>?[ \t]*")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,75}")
_MATCH = re.compile(r"[ -~]{1,200}")

_NO_LIST_ID = (
    " must be what stands in the List-Id header, as in users.example.com: ASCII, and without a blank in it"
)
_NO_HEADER = " must be the name of a header, as in X-Mailing-List, without a colon"
_NO_FOLDER = (
    " must be a path below ~/.maildir, of up to 200 letters, digits, '.', '_', '+', '-' and '/' between its parts, of"
    " which none begins with a dot"
)

# What goes on with a word, an address or an identifier: a text that is followed by one of these is part of another.
_PART = "a-z0-9._+@=~-"
_QUOTED = r'"([^"\\]|\\.)*"'
# One may hold another one; more than two levels were never seen.
_COMMENT = r"\(([^()\\]|\\.|\(([^()\\]|\\.)*\))*\)"
_BLANKS = "[ \t]*"


def list_id(value: object) -> str:
    """Read the identifier of a mailing list."""
    text = visible(value, _NO_LIST_ID)
    match = _LIST_ID.fullmatch(text)
    if not match or text.count("<") != text.count(">") or text.count("<") > 1:
        raise Wrong(_NO_LIST_ID)
    return match[1].lower()


def header(value: object) -> str:
    """Read the name of a header."""
    text = visible(value, _NO_HEADER)
    if not _HEADER.fullmatch(text):
        raise Wrong(_NO_HEADER)
    return text


def match(value: object) -> str:
    """Read the text that stands in a header."""
    if not isinstance(value, str) or not _MATCH.fullmatch(value) or not value.strip():
        raise Wrong(" must be text that stands in the header: 1 to 200 characters of ASCII")
    return value.strip()


def folder(value: object) -> str:
    """Read the path of a maildir."""
    text = visible(value, _NO_FOLDER)
    if not _FOLDER.fullmatch(text):
        raise Wrong(_NO_FOLDER)
    if _OWN_FOLDERS & {*text.split("/")}:
        raise Wrong(" must not hold cur, new or tmp, which are a maildir's own")
    return text


def contradiction(item: dict[Any, Any]) -> str:
    """Say what is wrong with the keys by which an item knows its mail, "" if nothing is."""
    keys = {"list_id", "header", "match"} & {*item}
    if keys in ({"list_id"}, {"header", "match"}):
        return ""
    if "list_id" in keys:
        return "has list_id and also header or match: keep list_id, or header and match"
    return "needs list_id, or header and match, by which its mail is known"


def condition(item: dict[str, str]) -> str:
    """
    Return the regular expression by which procmail(1) knows mail, one that no text can break out of.

    item : dict
        An item of ``lists``, regular.

    Its last character is never a backslash, which would join the next line to it.
    """
    if "list_id" in item:
        return _identifier(_expression(item["list_id"]))
    text = item["match"]
    before = rf"(.*[^{_PART}])?" if re.match(rf"[{_PART}]", text, re.IGNORECASE) else ".*"
    # A full stop behind it ends a sentence.
    after = rf"\.*([^{_PART}]|$)" if re.search(rf"[{_PART}]$", text, re.IGNORECASE) else ".*"
    return rf"^{item['header']}:{before}{_expression(text)}{after}"


def addressed(headers: str, sender: str) -> str:
    """
    Return the regular expression by which procmail(1) knows mail to an address, an extension of it included.

    headers : str
        The names of the headers that may hold it, as a regular expression.
    sender : str
        The address, or a whole domain with its @.
    """
    local, _, domain = sender.rpartition("@")
    in_local = _PART.replace("@", "")
    who = rf"{_literal(local)}(\+[{in_local}]*)?" if local else f"[{in_local}]+"
    # A full stop behind it ends a sentence.
    return rf"^({headers}):(.*[^{_PART}])?{who}@{_literal(domain)}\.*([^{_PART}]|$)"


def _identifier(expression: str) -> str:
    """Return what matches a List-Id that holds an identifier, and none that speaks of it in its text."""
    inside = f"<{_BLANKS}{expression}{_BLANKS}>"
    ways = (
        # RFC 2919: text, in which quoted strings and comments may hold anything, and the identifier.
        rf'([^"(<]|{_QUOTED}|{_COMMENT})*{inside}',
        # With a quote or a bracket in the text that has no other end.
        f"[^<]*{inside}{_BLANKS}$",
        # Without brackets.
        rf"{_BLANKS}{expression}{_BLANKS}(\(.*)?$",
    )
    return f"^List-Id:({'|'.join(ways)})"


def _expression(text: str) -> str:
    """Return an expression for a text: a star stands for anything but blanks, blanks for any blanks."""
    parts = re.split(r"([ \t]+|\*)", text)
    return "".join(
        "[^ \t]*" if part == "*" else f"{_BLANKS[:-1]}+" if part.isspace() else _literal(part)
        for part in parts
    )


def _literal(text: str) -> str:
    """Quote a text; a backslash before < > / would mean something else to procmail."""
    return re.sub(r"([\\^$.+?()\[\]|])", r"\\\1", text)
