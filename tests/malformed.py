# SPDX-License-Identifier: Apache-2.0
"""Malformed pillars and the sentences that each of them has to bring, for the unit tests and for the lab.

Each record is one that YAML can hold. All passwords are samples.SECRET, or begin with it: no output may hold it.
"""

import base64
from typing import Any

from tests.samples import ALICE, BOB, FINGERPRINT, OTHER_FINGERPRINT, SECRET

_RECORD_KEYS = "accounts, discard_senders, disposables, lists, settings, table_type, user"
_ACCOUNT_KEYS = "address, auth, default, password, password_base64, port, relay, senders, tls, username"
_ACCOUNT = "Account 1 (alice@example.com)"
_NO_ACCOUNTS = "accounts must be a list with at least one account (each item begins with a dash)."
_FOLDER = (
    "List 1: folder must be a path below ~/.maildir, of up to 200 letters, digits, '.', '_', '+', '-' and '/' between"
    " its parts, of which none begins with a dot."
)
_OWN_FOLDER = "List 1: folder must not hold cur, new or tmp, which are a maildir's own."
_LIST_ID = (
    "List 1: list_id must be what stands in the List-Id header, as in users.example.com: ASCII, and without a blank in"
    " it."
)
_HEADER = "List 1: header must be the name of a header, as in X-Mailing-List, without a colon."
_MATCH = "List 1: match must be text that stands in the header: 1 to 200 characters of ASCII."
_FINGERPRINTS = (
    f"{_ACCOUNT}: tls: fingerprint must hold SHA-256 fingerprints, 32 pairs of hexadecimal digits with colons between"
    ' them, in quotes ("AB:CD:...").'
)
_MESSAGE_SIZE = (
    "settings: message_size_limit must be a whole number of bytes from 100000 to 1000000000, or 0 for none."
)
_USER = "user must be the name of the local user who reads the mail, in Qubes usually user."
_NOT_AN_ADDRESS = "is not a mail address like your.mail@example.com."
_ADDRESS_MISSING = "Account 1: address must be a mail address like your.mail@example.com."
_RELAY_MISSING = (
    f"{_ACCOUNT}: example.com is no provider that is known here: give relay,"
    " the host name of its submission server."
)
_RELAY_NO_TEXT = f"{_ACCOUNT}: relay must be the host name of the provider's submission server."
_BARE_RELAY = f"{_ACCOUNT}: relay must be a bare host name like mail.example.com: the port goes into port."
_LINE_BREAK = "holds U+000A (a line break) as character {}, which cannot be seen or told apart: type it anew."
_TWO_LINES = f"{_ACCOUNT}: relay {_LINE_BREAK.format(17)}"
_NO_HOST = f"{_ACCOUNT}: relay is not a host name like mail.example.com."
_PORT = f"{_ACCOUNT}: port must be a number from 1 to 65535 without quotes, usually 587 or 465."
_NOT_TEXT = f"{_ACCOUNT}: password is not text for YAML: put it in quotes."
_BAD_BASE64 = f"{_ACCOUNT}: password_base64 is not valid base64."
_BAD_USERNAME = (
    f"{_ACCOUNT}: username must be UTF-8 without control characters and without white space at its ends."
)


def _encoded(password: bytes) -> str:
    return base64.b64encode(password).decode("ascii")


def _alice(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A record with one account; a change to None takes the key out."""
    return {"accounts": [{key: value for key, value in (ALICE | changes).items() if value is not None}]}


def _record(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"accounts": [ALICE], **changes}


def _without_password(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return _alice(password=None, **changes)


def _settings(**settings: Any) -> dict[str, Any]:  # noqa: ANN401
    return _record(settings=settings)


def _list(**item: Any) -> dict[str, Any]:  # noqa: ANN401
    return _record(lists=[{"list_id": "users.example.com", "folder": "list/users"} | item])


def _by(**item: Any) -> dict[str, Any]:  # noqa: ANN401
    return _record(lists=[{"header": "X-Mailing-List", "match": "users@example.com", "folder": "a"} | item])


# A name, the pillar key postfix_smarthost, and all its sentences.
MALFORMED: list[tuple[str, Any, tuple[str, ...]]] = [
    # The record.
    (
        "nothing",
        None,
        (
            "There is no mail account for this qube: give it one under postfix_smarthost:accounts in its pillar (in"
            " dom0: an entry with the name of the qube in qubes.yaml).",
        ),
    ),
    ("a text", SECRET, ("postfix_smarthost must be a mapping with the key accounts.",)),
    ("a list", [ALICE], ("postfix_smarthost must be a mapping with the key accounts.",)),
    ("an empty record", {}, (_NO_ACCOUNTS,)),
    ("accounts empty", {"accounts": []}, (_NO_ACCOUNTS,)),
    ("accounts a mapping", {"accounts": {"alice": ALICE}}, (_NO_ACCOUNTS,)),
    (
        "misspelt key of the record",
        _record(acounts=[]),
        ("postfix_smarthost has an unknown key: did you mean accounts.",),
    ),
    (
        "a key that is no text",
        _record(**{}) | {1: 2},
        (f"postfix_smarthost has an unknown key: use {_RECORD_KEYS}.",),
    ),
    (
        "errors of dom0's pillar",
        {"errors": ["qubes.yaml: line 3 is not UTF-8 text."]},
        ("qubes.yaml: line 3 is not UTF-8 text.",),
    ),
    (
        "errors that say nothing",
        {"errors": None, "accounts": [ALICE]},
        ("The pillar of this qube could not be read: look at qubes.yaml in dom0.",),
    ),
    # An account.
    (
        "an account that is no mapping",
        {"accounts": ["alice@example.com"]},
        ("Account 1 must be a mapping with address and password.",),
    ),
    (
        "misspelt key of an account",
        _alice(user_name="alice"),
        (f"{_ACCOUNT} has an unknown key: did you mean username.",),
    ),
    (
        "a password that became a key",
        {
            "accounts": [
                {"address": "alice@example.com", "relay": "mail.example.com", f"password:{SECRET}": None}
            ]
        },
        (
            f"{_ACCOUNT} has an unknown key: use {_ACCOUNT_KEYS}.",
            f"{_ACCOUNT} has no password: give password or password_base64.",
        ),
    ),
    ("no address", _alice(address=None), (_ADDRESS_MISSING,)),
    ("an address that is no text", _alice(address=5), (_ADDRESS_MISSING,)),
    ("an address without a domain", _alice(address="alice"), (f"Account 1: address {_NOT_AN_ADDRESS}",)),
    (
        "an address with a name",
        _alice(address="Al <al@example.com>"),
        (f"Account 1: address {_NOT_AN_ADDRESS}",),
    ),
    (
        "an address with a blank",
        _alice(address="a b@example.com"),
        (f"Account 1: address {_NOT_AN_ADDRESS}",),
    ),
    (
        "two lines in an address",
        _alice(address="a@example.com\nb"),
        (f"Account 1: address {_LINE_BREAK.format(14)}",),
    ),
    (
        "an address that is a comment in a table",
        _alice(address="#alice@example.com"),
        (f"Account 1: address {_NOT_AN_ADDRESS}",),
    ),
    (
        "a local part that is too long",
        _alice(address="a" * 65 + "@example.com"),
        (f"Account 1: address {_NOT_AN_ADDRESS}",),
    ),
    (
        "an address outside ASCII",
        _alice(address="alice@ex\u00e4mple.com"),
        ("Account 1: address is not ASCII: write the domain as xn--exmple-cua.com.",),
    ),
    (
        "a whole domain",
        _alice(address="@example.com"),
        ("Account 1: address is a whole domain: give one address here, and the domain under senders.",),
    ),
    (
        "a domain that two accounts claim",
        {"accounts": [ALICE | {"senders": ["@x.example"]}, BOB | {"senders": ["@X.example"]}]},
        (
            "Account 2 (bob@example.org): @x.example stands already in Account 1 (alice@example.com): keep it in one"
            " account.",
        ),
    ),
    (
        "a domain inside the qube",
        _alice(senders=["@mail.localdomain"]),
        (
            "Account 1 (alice@example.com): sender 1 is an address inside the qube: give the one at your provider.",
        ),
    ),
    (
        "a star for a domain",
        _alice(senders=["*@example.com"]),
        (
            "Account 1 (alice@example.com): sender 1 has a star: write all addresses of a domain as @example.com.",
        ),
    ),
    (
        "an address of a whole domain that would be discarded",
        _alice(senders=["@example.net"]) | {"discard_senders": ["x@example.net"]},
        (
            "discard_senders: item 1 would discard the mail of Account 1 (alice@example.com): leave it out, or name"
            " what is below it.",
        ),
    ),
    (
        "an address inside the qube",
        _alice(address="alice@mail.localdomain"),
        ("Account 1: address is an address inside the qube: give the one at your provider.",),
    ),
    (
        "senders that are no list",
        _alice(senders="me@alias.example"),
        (f"{_ACCOUNT}: senders must be a list.",),
    ),
    (
        "a sender without a domain",
        _alice(senders=["me@alias.example", "me"]),
        (f"{_ACCOUNT}: sender 2 {_NOT_AN_ADDRESS}",),
    ),
    (
        "a sender twice in one account",
        _alice(senders=["Alice@example.com"]),
        (f"{_ACCOUNT}: alice@example.com stands already in {_ACCOUNT}: keep it in one account.",),
    ),
    (
        "a sender in two accounts",
        {"accounts": [ALICE | {"senders": ["me@alias.example"]}, BOB | {"senders": ["ME@alias.example"]}]},
        (
            f"Account 2 (bob@example.org): me@alias.example stands already in {_ACCOUNT}: keep it in one account.",
        ),
    ),
    (
        "an account twice",
        {"accounts": [ALICE, ALICE]},
        (
            f"Account 2 (alice@example.com): alice@example.com stands already in {_ACCOUNT}: keep it in one account.",
        ),
    ),
    (
        "two defaults",
        {"accounts": [ALICE | {"default": True}, BOB | {"default": True}]},
        (
            f"{_ACCOUNT} and Account 2 (bob@example.org) are each the default: keep default: true in one of them.",
        ),
    ),
    ("a default that is text", _alice(default="yes"), (f"{_ACCOUNT}: default must be true or false.",)),
    # The relay.
    ("no relay", _alice(relay=None), (_RELAY_MISSING,)),
    ("a relay that is no text", _alice(relay=["mail.example.com"]), (_RELAY_NO_TEXT,)),
    ("a relay with its port", _alice(relay="mail.example.com:587"), (_BARE_RELAY,)),
    ("a relay in brackets", _alice(relay="[mail.example.com]"), (_BARE_RELAY,)),
    ("a relay as an URL", _alice(relay=f"smtps://alice:{SECRET}@mail.example.com"), (_BARE_RELAY,)),
    (
        "two lines in a relay",
        _alice(relay="mail.example.com\nsmtp_tls_security_level = none"),
        (_TWO_LINES,),
    ),
    (
        "a relay outside ASCII",
        _alice(relay="\u017fmtp.example.com"),
        (f"{_ACCOUNT}: relay is not ASCII: write it as smtp.example.com.",),
    ),
    ("a relay with an underscore", _alice(relay="mail_1.example.com"), (_NO_HOST,)),
    ("half an IP address", _alice(relay="10.0.0"), (_NO_HOST,)),
    (
        "an IP address without a fingerprint",
        _alice(relay="10.0.0.1"),
        (
            f"{_ACCOUNT}: relay is an IP address, which no certificate can prove: give the host name, or pin the"
            " certificate with tls: {fingerprint: [...]}.",
        ),
    ),
    (
        "a line in the zone of an IP address",
        _alice(relay="fe80::1%\n[evil.example]:25 none", tls={"fingerprint": [FINGERPRINT]}),
        (f"{_ACCOUNT}: relay {_LINE_BREAK.format(9)}",),
    ),
    ("a port in quotes", _alice(port="587"), (_PORT,)),
    ("a port that is a truth", _alice(port=True), (_PORT,)),
    ("a port that is too high", _alice(port=65536), (_PORT,)),
    # TLS.
    (
        "tls that is no mapping",
        _alice(tls="starttls"),
        (f"{_ACCOUNT}: tls must be a mapping with ca, fingerprint or mode.",),
    ),
    (
        "tls without a value",
        {"accounts": [ALICE | {"tls": None}]},
        (f"{_ACCOUNT}: tls must be a mapping with ca, fingerprint or mode.",),
    ),
    (
        "tls that is not verified",
        _alice(tls={"verify": False}),
        (f"{_ACCOUNT}: tls has an unknown key: use ca, fingerprint, mode.",),
    ),
    (
        "a mode that there is not",
        _alice(tls={"mode": "opportunistic"}),
        (f"{_ACCOUNT}: tls: mode must be one of implicit, none, starttls.",),
    ),
    ("a fingerprint that is short", _alice(tls={"fingerprint": ["AB:CD"]}), (_FINGERPRINTS,)),
    ("a fingerprint without colons", _alice(tls={"fingerprint": ["AB" * 32]}), (_FINGERPRINTS,)),
    (
        "a fingerprint with another policy behind it",
        _alice(tls={"fingerprint": [FINGERPRINT + " match=" + FINGERPRINT]}),
        (_FINGERPRINTS,),
    ),
    (
        "a fingerprint that is no list",
        _alice(tls={"fingerprint": FINGERPRINT}),
        (f"{_ACCOUNT}: tls: fingerprint must be a list.",),
    ),
    (
        "no fingerprint at all",
        _alice(tls={"fingerprint": []}),
        (f"{_ACCOUNT}: tls: fingerprint is empty: give a SHA-256 fingerprint, or leave the key out.",),
    ),
    (
        "two policies for one relay",
        {
            "accounts": [
                ALICE | {"tls": {"fingerprint": [FINGERPRINT]}},
                ALICE | {"address": "al@example.com", "tls": {"fingerprint": [OTHER_FINGERPRINT]}},
            ]
        },
        (f"Account 2 (al@example.com): tls differs from {_ACCOUNT}, which uses the same relay and port.",),
    ),
    # The user name and the password.
    (
        "a user name that is a number",
        _alice(username=5),
        (f"{_ACCOUNT}: username must be text: put it in quotes.",),
    ),
    (
        "an empty user name",
        _alice(username=""),
        (f"{_ACCOUNT}: username is empty: leave the key out to use the address.",),
    ),
    (
        "a colon in a user name",
        _alice(username="al:ice"),
        (f"{_ACCOUNT}: username holds a colon, which Postfix takes for the end of the name.",),
    ),
    ("a user name with a blank at its end", _alice(username="alice "), (_BAD_USERNAME,)),
    ("two lines in a user name", _alice(username="alice\nbob@example.com"), (_BAD_USERNAME,)),
    (
        "no password",
        _alice(password=None),
        (f"{_ACCOUNT} has no password: give password or password_base64.",),
    ),
    (
        "two passwords",
        _alice(password_base64=_encoded(SECRET.encode())),
        (f"{_ACCOUNT} has two passwords: keep password or password_base64.",),
    ),
    ("a password that YAML takes for a number", _alice(password=123), (_NOT_TEXT,)),
    ("a password that YAML takes for a truth", _alice(password=True), (_NOT_TEXT,)),
    ("a password without a value", {"accounts": [ALICE | {"password": None}]}, (_NOT_TEXT,)),
    ("a password in braces", _alice(password={SECRET: None}), (_NOT_TEXT,)),
    ("an empty password", _alice(password=""), (f"{_ACCOUNT}: the password is empty.",)),
    (
        "two lines in a password",
        _alice(password=f"{SECRET}\nbob@example.org bob:x"),
        (f"{_ACCOUNT}: the password holds a line break or a NUL byte, which Postfix cannot hold.",),
    ),
    (
        "a NUL byte in a password",
        _without_password(password_base64=_encoded(SECRET.encode() + b"\0x")),
        (f"{_ACCOUNT}: the password holds a line break or a NUL byte, which Postfix cannot hold.",),
    ),
    (
        "a blank at the end of a password",
        _alice(password=f"{SECRET} "),
        (
            f"{_ACCOUNT}: the password ends with white space, which Postfix cannot hold: change it at the provider.",
        ),
    ),
    (
        "a password in Latin-1",
        _without_password(password_base64=_encoded(SECRET.encode() + b"\xe9")),
        (f"{_ACCOUNT}: the password is not UTF-8, which Postfix cannot hold.",),
    ),
    ("a password that is not in base64", _without_password(password_base64=f"{SECRET}!"), (_BAD_BASE64,)),
    ("a number in place of base64", _without_password(password_base64=1234), (_BAD_BASE64,)),
    # The rest of the record.
    (
        "discard_senders that are no list",
        _record(discard_senders="spam.example"),
        ("discard_senders must be a list.",),
    ),
    (
        "a pattern to discard",
        _record(discard_senders=["spam.example", "*.example"]),
        ("discard_senders: item 2 is neither a domain nor a mail address.",),
    ),
    (
        "two lines to discard",
        _record(discard_senders=["spam.example OK\nexample.com"]),
        (f"discard_senders: item 1 {_LINE_BREAK.format(16)}",),
    ),
    (
        "an account's own domain to discard",
        _record(discard_senders=["Example.com"]),
        (
            f"discard_senders: item 1 would discard the mail of {_ACCOUNT}: leave it out, or name what is below it.",
        ),
    ),
    (
        "the qube's own mail to discard",
        _record(discard_senders=["localhost.localdomain"]),
        ("discard_senders: item 1 would discard mail from inside the qube: leave it out.",),
    ),
    (
        "a domain to discard twice",
        _record(discard_senders=["spam.example", "SPAM.example"]),
        ("discard_senders: item 2 repeats item 1: keep one.",),
    ),
    ("lists that are a mapping", _record(lists={"users": "list"}), ("lists must be a list.",)),
    (
        "a list that is a text",
        _record(lists=["users.example.com"]),
        ("List 1 must be a mapping with list_id and folder.",),
    ),
    (
        "misspelt key of a list",
        _list(dir="list"),
        ("List 1 has an unknown key: use folder, header, list_id, match.",),
    ),
    ("a list without its identifier", _list(list_id=None), (_LIST_ID,)),
    ("two identifiers", _list(list_id="<users.example.com> <users.example.org>"), (_LIST_ID,)),
    ("an identifier with one bracket", _list(list_id="users.example.com>"), (_LIST_ID,)),
    ("an identifier outside ASCII", _list(list_id="us\u00e4rs.example.com"), (_LIST_ID,)),
    ("an identifier that is too long", _list(list_id="x" * 256), (_LIST_ID,)),
    (
        "an identifier with a recipe behind it",
        _list(list_id="users\n| sh"),
        (f"List 1: list_id {_LINE_BREAK.format(6)}",),
    ),
    (
        "an identifier twice",
        _record(
            lists=[
                {"list_id": "users.example.com", "folder": "a"},
                {"list_id": "Users.Example.com", "folder": "b"},
            ]
        ),
        ("List 2: list_id stands already in List 1: keep one.",),
    ),
    (
        "a list by nothing",
        _record(lists=[{"folder": "a"}]),
        ("List 1 needs list_id, or header and match, by which its mail is known.",),
    ),
    (
        "a header without text",
        _record(lists=[{"header": "X-Mailing-List", "folder": "a"}]),
        ("List 1 needs list_id, or header and match, by which its mail is known.",),
    ),
    (
        "a list by both",
        _list(header="X-Mailing-List", match="users@example.com"),
        ("List 1 has list_id and also header or match: keep list_id, or header and match.",),
    ),
    ("a header with its colon", _by(header="X-Mailing-List:"), (_HEADER,)),
    ("a header with a recipe behind it", _by(header="X\n* ^Y"), (f"List 1: header {_LINE_BREAK.format(2)}",)),
    ("a header that is no text", _by(header=5), (_HEADER,)),
    ("a header that is an expression", _by(header="(To|Cc)"), (_HEADER,)),
    ("text of two lines", _by(match="users\n| sh"), (_MATCH,)),
    ("text that is blank", _by(match="  "), (_MATCH,)),
    ("text outside ASCII", _by(match="us\u00e4rs"), (_MATCH,)),
    ("text that is too long", _by(match="x" * 201), (_MATCH,)),
    ("text that is a number", _by(match=5), (_MATCH,)),
    (
        "a header and its text twice",
        _record(
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
    (
        "settings that are a list",
        _record(settings=["biff = no"]),
        ("settings must be a mapping from main.cf parameters to values.",),
    ),
    (
        "two lines in the name of a setting",
        _record(settings={"biff = no\nrelayhost": "x"}),
        ("settings: a key is not the name of a main.cf parameter.",),
    ),
    (
        "a setting that opens the relay's TLS",
        _settings(smtp_tls_security_level="may"),
        (
            "settings: smtp_tls_security_level cannot be set: each relay is verified before it sees a password; use"
            " tls in the account.",
        ),
    ),
    (
        "a setting that holds a password",
        _settings(smtp_sasl_password_maps=f"static:alice:{SECRET}"),
        (
            "settings: smtp_sasl_password_maps cannot be set: a password goes only to its own relay; use username and"
            " password in the account.",
        ),
    ),
    (
        "a setting that routes",
        _settings(relayhost="[smtp.example.net]"),
        (
            "settings: relayhost cannot be set: mail leaves only through the account of its sender; use accounts.",
        ),
    ),
    (
        "a misspelt setting",
        _settings(mesage_size_limit=1),
        (
            "settings: mesage_size_limit cannot be set: it is not among the parameters that can be tuned; did you mean"
            " message_size_limit.",
        ),
    ),
    (
        "a name of one's own",
        _settings(my_way="x"),
        ("settings: my_way cannot be set: it is not among the parameters that can be tuned; leave it out.",),
    ),
    (
        "a size that is no number",
        _settings(message_size_limit="abc"),
        (_MESSAGE_SIZE,),
    ),
    (
        "a size that is an expansion",
        _settings(message_size_limit="${mailbox_size_limit}"),
        (_MESSAGE_SIZE,),
    ),
    (
        "two lines in a value",
        _settings(queue_run_delay="300s\nrelayhost = x"),
        ("settings: queue_run_delay must be a time such as 90s, 30m, 4h or 5d, from 10s to 1h.",),
    ),
    (
        "a mailbox smaller than a message",
        _settings(mailbox_size_limit=200000),
        ("settings: mailbox_size_limit must be 0 or at least message_size_limit.",),
    ),
    (
        "a type of table that there is not",
        _record(table_type="btree"),
        ("table_type must be one of auto, cdb, hash, lmdb, texthash.",),
    ),
    (
        "disposables in quotes",
        _record(disposables="true"),
        ("disposables must be true or false.",),
    ),
    ("mail to root", _record(user="root"), (_USER,)),
    ("a user with an expansion", _record(user="$(id)"), (_USER,)),
    ("a user without a value", _record(user=None), (_USER,)),
    # All at once.
    (
        "everything",
        {
            "accounts": [
                {"address": "alice", "relay": "a b", "port": 0, "password": 5},
                BOB | {"username": "b:b"},
            ],
            "lists": [{"list_id": "x y", "folder": "a"}],
            "settings": {"relayhost": "x", "biff": 5},
            "user": 5,
        },
        (
            f"Account 1: address {_NOT_AN_ADDRESS}",
            "Account 1: relay is not a host name like mail.example.com.",
            "Account 1: port must be a number from 1 to 65535 without quotes, usually 587 or 465.",
            "Account 1: password is not text for YAML: put it in quotes.",
            "Account 2 (bob@example.org): username holds a colon, which Postfix takes for the end of the name.",
            _LIST_ID,
            "settings: relayhost cannot be set: mail leaves only through the account of its sender; use accounts.",
            "settings: biff must be yes or no.",
            _USER,
        ),
    ),
]
