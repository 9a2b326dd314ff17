# SPDX-License-Identifier: Apache-2.0
"""
What mail of a list is known by, and the folder that it goes to: the pillar key ``lists``.

Pure functions. Sources: RFC 2919 on List-Id, RFC 5322 2.2 and 3.2 on headers, comments and quoted strings;
procmailrc(5) and the regular expressions of procmail 3.22 (its regexp.c).
"""

from __future__ import annotations

import re
from typing import Any

KEYS = ("folder", "header", "list_id", "match")

_FOLDER_PART = r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*"
_FOLDER = re.compile(rf"(?=.{{1,200}}\Z){_FOLDER_PART}(?:/{_FOLDER_PART})*")
_OWN_FOLDERS = {"cur", "new", "tmp"}
# As the header has it, whole or without what is around it.
_LIST_ID = re.compile(r"(?:[^<>\n\r]*<)?[ \t]*([!-;=?-~]{1,255})[ \t]*>?[ \t]*")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,75}")
_MATCH = re.compile(r"[ -~]{1,200}")

# What goes on with a word, an address or an identifier: a text that is followed by one of these is part of another.
_PART = "a-z0-9._+@=~-"
_QUOTED = r'"([^"\\]|\\.)*"'
# One may hold another one; more than two levels were never seen.
_COMMENT = r"\(([^()\\]|\\.|\(([^()\\]|\\.)*\))*\)"
_BLANKS = "[ \t]*"


def check(value: list[Any]) -> tuple[list[dict[str, str]], list[str]]:
    """
    Check the items of ``lists`` and bring them into their regular shape.

    value : list
        The items, of any type.

    Returns the items, each with ``list_id`` or with ``header`` and ``match``, and with ``folder``; and what is wrong,
    in sentences without their full stops, of which none holds a value. The items are complete only if there is none.
    """
    found: list[str] = []
    items: dict[tuple[str, str], tuple[int, dict[str, str]]] = {}
    for number, item in enumerate(value, 1):
        where = f"List {number}"
        if not isinstance(item, dict):
            found.append(f"{where} must be a mapping with list_id and folder")
            continue
        regular = _known_by(item, where, found) | {"folder": _folder(item.get("folder"), where, found)}
        key = regular.get("list_id", ""), f"{regular.get('header')}:{regular.get('match')}".lower()
        if key in items and {"list_id", "header"} & {*regular}:
            what = "list_id" if "list_id" in regular else "header with its match"
            found.append(f"{where}: {what} stands already in List {items[key][0]}: keep one")
        items.setdefault(key, (number, regular))
    return [item for _, item in items.values()], found


def _known_by(item: dict[Any, Any], where: str, found: list[str]) -> dict[str, str]:
    """Return what mail is known by, regular."""
    keys = {"list_id", "header", "match"} & {*item}
    if keys == {"list_id"}:
        value = item["list_id"]
        match = _LIST_ID.fullmatch(value) if isinstance(value, str) else None
        if match and value.count("<") == value.count(">") <= 1:
            return {"list_id": match[1].lower()}
        found.append(
            f"{where}: list_id must be what stands in the List-Id header, as in users.example.com: ASCII, and without"
            " a blank in it"
        )
    elif keys == {"header", "match"}:
        header, text = item["header"], item["match"]
        if not isinstance(header, str) or not _HEADER.fullmatch(header):
            found.append(
                f"{where}: header must be the name of a header, as in X-Mailing-List, without a colon"
            )
        if not isinstance(text, str) or not _MATCH.fullmatch(text) or not text.strip():
            found.append(
                f"{where}: match must be text that stands in the header: 1 to 200 characters of ASCII"
            )
        elif isinstance(header, str):
            return {"header": header, "match": text.strip()}
    elif "list_id" in keys:
        found.append(f"{where} has list_id and also header or match: keep list_id, or header and match")
    else:
        found.append(f"{where} needs list_id, or header and match, by which its mail is known")
    return {}


def _folder(value: object, where: str, found: list[str]) -> str:
    if not isinstance(value, str) or not _FOLDER.fullmatch(value):
        found.append(
            f"{where}: folder must be a path below ~/.maildir, of up to 200 letters, digits, '.', '_', '+', '-' and"
            " '/' between its parts, of which none begins with a dot"
        )
    elif _OWN_FOLDERS & {*value.split("/")}:
        found.append(f"{where}: folder must not hold cur, new or tmp, which are a maildir's own")
    else:
        return value
    return ""


def condition(item: dict[str, str]) -> str:
    """
    Return the regular expression by which procmail(1) knows mail, one that no text can break out of.

    item : dict
        An item as ``check`` returns it.

    Its last character is never a backslash, which would join the next line to it.
    """
    if "list_id" in item:
        return _identifier(_expression(item["list_id"]))
    text = item["match"]
    before = rf"(.*[^{_PART}])?" if re.match(rf"[{_PART}]", text, re.IGNORECASE) else ".*"
    # A full stop behind it ends a sentence.
    after = rf"\.*([^{_PART}]|$)" if re.search(rf"[{_PART}]$", text, re.IGNORECASE) else ".*"
    return rf"^{item['header']}:{before}{_expression(text)}{after}"


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
