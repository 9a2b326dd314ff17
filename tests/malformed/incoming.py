# SPDX-License-Identifier: Apache-2.0
"""What is discarded of the mail that comes in, and lists."""

from typing import Any

from tests.malformed.shared import ACCOUNT, LINE_BREAK, Case, record
from tests.samples import ALICE

_FOLDER = (
    "List 1: folder must be a path below ~/.maildir, of up to 200 letters, digits, '.', '_', '+', '-' and '/' between"
    " its parts, of which none begins with a dot."
)
_OWN_FOLDER = "List 1: folder must not hold cur, new or tmp, which are a maildir's own."
LIST_ID = (
    "List 1: list_id must be what stands in the List-Id header, as in users.example.com: ASCII, and without a blank in"
    " it."
)
_HEADER = "List 1: header must be the name of a header, as in X-Mailing-List, without a colon."
_MATCH = "List 1: match must be text that stands in the header: 1 to 200 characters of ASCII."


def _list(**item: Any) -> dict[str, Any]:  # noqa: ANN401
    return record(lists=[{"list_id": "users.example.com", "folder": "list/users"} | item])


def _by(**item: Any) -> dict[str, Any]:  # noqa: ANN401
    return record(lists=[{"header": "X-Mailing-List", "match": "users@example.com", "folder": "a"} | item])


INCOMING: list[Case] = [
    (
        "discard_senders that are no list",
        record(discard_senders="spam.example"),
        ("discard_senders must be a list.",),
    ),
    (
        "a pattern to discard",
        record(discard_senders=["spam.example", "*.example"]),
        ("discard_senders: item 2 is neither a domain nor a mail address.",),
    ),
    (
        "two lines to discard",
        record(discard_senders=["spam.example OK\nexample.com"]),
        (f"discard_senders: item 1 {LINE_BREAK.format(16)}",),
    ),
    (
        "an account's own domain to discard",
        record(discard_senders=["Example.com"]),
        (
            f"discard_senders: item 1 would discard the mail of {ACCOUNT}: leave it out, or name what is below it.",
        ),
    ),
    (
        "the qube's own mail to discard",
        record(discard_senders=["localhost.localdomain"]),
        ("discard_senders: item 1 would discard mail from inside the qube: leave it out.",),
    ),
    (
        "a domain to discard twice",
        record(discard_senders=["spam.example", "SPAM.example"]),
        ("discard_senders: item 2 repeats item 1: keep one.",),
    ),
    ("lists that are a mapping", record(lists={"users": "list"}), ("lists must be a list.",)),
    (
        "a list that is a text",
        record(lists=["users.example.com"]),
        ("List 1 must be a mapping with list_id and folder.",),
    ),
    (
        "misspelt key of a list",
        _list(dir="list"),
        ("List 1 has an unknown key: use folder, header, list_id, match, sender.",),
    ),
    (
        "a folder of an account that leads elsewhere",
        record(accounts=[ALICE | {"folder": "../sent"}]),
        (_FOLDER.replace("List 1", "Account 1 (alice@example.com)"),),
    ),
    (
        "a folder of an account that is a maildir's own",
        record(accounts=[ALICE | {"folder": "work/new"}]),
        ("Account 1 (alice@example.com): folder must not hold cur, new or tmp, which are a maildir's own.",),
    ),
    (
        "a list whose sender is in no account",
        _list(sender="me@elsewhere.example"),
        ("List 1: sender is in no account: give an address of one.",),
    ),
    (
        "a list whose sender is a whole domain",
        _list(sender="@example.com"),
        ("List 1: sender is a whole domain: give one address here, and the domain under senders.",),
    ),
    (
        "a list with three senders",
        _list(sender=["me@example.com"] * 3),
        ("List 1: sender must be a mail address like your.mail@example.com.",),
    ),
    ("a list without its identifier", _list(list_id=None), (LIST_ID,)),
    ("two identifiers", _list(list_id="<users.example.com> <users.example.org>"), (LIST_ID,)),
    ("an identifier with one bracket", _list(list_id="users.example.com>"), (LIST_ID,)),
    ("an identifier outside ASCII", _list(list_id="us\u00e4rs.example.com"), (LIST_ID,)),
    ("an identifier that is too long", _list(list_id="x" * 256), (LIST_ID,)),
    (
        "an identifier with a recipe behind it",
        _list(list_id="users\n| sh"),
        (f"List 1: list_id {LINE_BREAK.format(6)}",),
    ),
    (
        "an identifier twice",
        record(
            lists=[
                {"list_id": "users.example.com", "folder": "a"},
                {"list_id": "Users.Example.com", "folder": "b"},
            ]
        ),
        ("List 2: list_id stands already in List 1: keep one.",),
    ),
    (
        "a list by nothing",
        record(lists=[{"folder": "a"}]),
        ("List 1 needs list_id, or header and match, by which its mail is known.",),
    ),
    (
        "a header without text",
        record(lists=[{"header": "X-Mailing-List", "folder": "a"}]),
        ("List 1 needs list_id, or header and match, by which its mail is known.",),
    ),
    (
        "a list by both",
        _list(header="X-Mailing-List", match="users@example.com"),
        ("List 1 has list_id and also header or match: keep list_id, or header and match.",),
    ),
    ("a header with its colon", _by(header="X-Mailing-List:"), (_HEADER,)),
    ("a header with a recipe behind it", _by(header="X\n* ^Y"), (f"List 1: header {LINE_BREAK.format(2)}",)),
    ("a header that is no text", _by(header=5), (_HEADER,)),
    ("a header that is an expression", _by(header="(To|Cc)"), (_HEADER,)),
    ("text of two lines", _by(match="users\n| sh"), (_MATCH,)),
    ("text that is blank", _by(match="  "), (_MATCH,)),
    ("text outside ASCII", _by(match="us\u00e4rs"), (_MATCH,)),
    ("text that is too long", _by(match="x" * 201), (_MATCH,)),
    ("text that is a number", _by(match=5), (_MATCH,)),
    (
        "a header and its text twice",
        record(
            lists=[
                {"header": "X-Mailing-List", "match": "users@example.com", "folder": "a"},
                {"header": "x-mailing-list", "match": "Users@example.com", "folder": "b"},
            ]
        ),
        ("List 2: header with its match stands already in List 1: keep one.",),
    ),
    ("a folder above", _list(folder="../users"), (_FOLDER,)),
    ("a folder elsewhere", _list(folder="/etc/cron.d"), (_FOLDER,)),
    ("a folder that is a command", _list(folder="|sh"), (_FOLDER,)),
    ("a folder with an expansion", _list(folder="$HOME/x"), (_FOLDER,)),
    ("a folder with a slash at its end", _list(folder="users/"), (_FOLDER,)),
    ("a folder that is too long", _list(folder="x" * 201), (_FOLDER,)),
    ("no folder", _list(folder=None), (_FOLDER,)),
    ("a folder of the maildir's own", _list(folder="list/new"), (_OWN_FOLDER,)),
]
