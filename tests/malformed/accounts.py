# SPDX-License-Identifier: Apache-2.0
"""An account, its addresses and which one is the default."""

from tests.malformed.shared import ACCOUNT, LINE_BREAK, NOT_AN_ADDRESS, Case, alice
from tests.samples import ALICE, BOB, SECRET

_ACCOUNT_KEYS = (
    "address, auth, default, fetch, folder, oauth, password, password_base64, password_command, port, relay, senders,"
    " tls, username"
)
_ADDRESS_MISSING = "Account 1: address must be a mail address like your.mail@example.com."

ACCOUNTS: list[Case] = [
    (
        "an account that is no mapping",
        {"accounts": ["alice@example.com"]},
        ("Account 1 must be a mapping with address and password.",),
    ),
    (
        "misspelt key of an account",
        alice(user_name="alice"),
        (f"{ACCOUNT} has an unknown key: did you mean username.",),
    ),
    (
        "a password that became a key",
        {
            "accounts": [
                {"address": "alice@example.com", "relay": "mail.example.com", f"password:{SECRET}": None}
            ]
        },
        (
            f"{ACCOUNT} has an unknown key: use {_ACCOUNT_KEYS}.",
            f"{ACCOUNT} has no password: give password or password_base64.",
        ),
    ),
    ("no address", alice(address=None), (_ADDRESS_MISSING,)),
    ("an address that is no text", alice(address=5), (_ADDRESS_MISSING,)),
    ("an address without a domain", alice(address="alice"), (f"Account 1: address {NOT_AN_ADDRESS}",)),
    (
        "an address with a name",
        alice(address="Al <al@example.com>"),
        (f"Account 1: address {NOT_AN_ADDRESS}",),
    ),
    (
        "an address with a blank",
        alice(address="a b@example.com"),
        (f"Account 1: address {NOT_AN_ADDRESS}",),
    ),
    (
        "two lines in an address",
        alice(address="a@example.com\nb"),
        (f"Account 1: address {LINE_BREAK.format(14)}",),
    ),
    (
        "an address that is a comment in a table",
        alice(address="#alice@example.com"),
        (f"Account 1: address {NOT_AN_ADDRESS}",),
    ),
    (
        "a local part that is too long",
        alice(address="a" * 65 + "@example.com"),
        (f"Account 1: address {NOT_AN_ADDRESS}",),
    ),
    (
        "an address outside ASCII",
        alice(address="alice@ex\u00e4mple.com"),
        ("Account 1: address is not ASCII: write the domain as xn--exmple-cua.com.",),
    ),
    (
        "a whole domain",
        alice(address="@example.com"),
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
        alice(senders=["@mail.localdomain"]),
        (
            "Account 1 (alice@example.com): sender 1 is an address inside the qube: give the one at your provider.",
        ),
    ),
    (
        "a star for a domain",
        alice(senders=["*@example.com"]),
        (
            "Account 1 (alice@example.com): sender 1 has a star: write all addresses of a domain as @example.com.",
        ),
    ),
    (
        "an address of a whole domain that would be discarded",
        alice(senders=["@example.net"]) | {"discard_senders": ["x@example.net"]},
        (
            "discard_senders: item 1 would discard the mail of Account 1 (alice@example.com): leave it out, or name"
            " what is below it.",
        ),
    ),
    (
        "an address inside the qube",
        alice(address="alice@mail.localdomain"),
        ("Account 1: address is an address inside the qube: give the one at your provider.",),
    ),
    (
        "senders that are no list",
        alice(senders="me@alias.example"),
        (f"{ACCOUNT}: senders must be a list.",),
    ),
    (
        "a sender without a domain",
        alice(senders=["me@alias.example", "me"]),
        (f"{ACCOUNT}: sender 2 {NOT_AN_ADDRESS}",),
    ),
    (
        "a sender twice in one account",
        alice(senders=["Alice@example.com"]),
        (f"{ACCOUNT}: alice@example.com stands already in {ACCOUNT}: keep it in one account.",),
    ),
    (
        "a sender in two accounts",
        {"accounts": [ALICE | {"senders": ["me@alias.example"]}, BOB | {"senders": ["ME@alias.example"]}]},
        (
            f"Account 2 (bob@example.org): me@alias.example stands already in {ACCOUNT}: keep it in one account.",
        ),
    ),
    (
        "an account twice",
        {"accounts": [ALICE, ALICE]},
        (
            f"Account 2 (alice@example.com): alice@example.com stands already in {ACCOUNT}: keep it in one account.",
        ),
    ),
    (
        "two defaults",
        {"accounts": [ALICE | {"default": True}, BOB | {"default": True}]},
        (
            f"{ACCOUNT} and Account 2 (bob@example.org) are each the default: keep default: true in one of them.",
        ),
    ),
    ("a default that is text", alice(default="yes"), (f"{ACCOUNT}: default must be true or false.",)),
]
