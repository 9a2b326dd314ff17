# SPDX-License-Identifier: Apache-2.0
"""The user name and the password of an account."""

import base64
from typing import Any

from tests.malformed.shared import ACCOUNT, Case, alice
from tests.samples import ALICE, SECRET

_NOT_TEXT = f"{ACCOUNT}: password is not text for YAML: put it in quotes."
_BAD_BASE64 = f"{ACCOUNT}: password_base64 is not valid base64."
_BAD_USERNAME = (
    f"{ACCOUNT}: username must be UTF-8 without control characters and without white space at its ends."
)


def _encoded(password: bytes) -> str:
    return base64.b64encode(password).decode("ascii")


def _without_password(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return alice(password=None, **changes)


LOGINS: list[Case] = [
    (
        "a user name that is a number",
        alice(username=5),
        (f"{ACCOUNT}: username must be text: put it in quotes.",),
    ),
    (
        "an empty user name",
        alice(username=""),
        (f"{ACCOUNT}: username is empty: leave the key out to use the address.",),
    ),
    (
        "a colon in a user name",
        alice(username="al:ice"),
        (f"{ACCOUNT}: username holds a colon, which Postfix takes for the end of the name.",),
    ),
    ("a user name with a blank at its end", alice(username="alice "), (_BAD_USERNAME,)),
    ("two lines in a user name", alice(username="alice\nbob@example.com"), (_BAD_USERNAME,)),
    (
        "no password",
        alice(password=None),
        (f"{ACCOUNT} has no password: give password or password_base64.",),
    ),
    (
        "two passwords",
        alice(password_base64=_encoded(SECRET.encode())),
        (f"{ACCOUNT} has two passwords: keep password or password_base64.",),
    ),
    ("a password that YAML takes for a number", alice(password=123), (_NOT_TEXT,)),
    ("a password that YAML takes for a truth", alice(password=True), (_NOT_TEXT,)),
    ("a password without a value", {"accounts": [ALICE | {"password": None}]}, (_NOT_TEXT,)),
    ("a password in braces", alice(password={SECRET: None}), (_NOT_TEXT,)),
    ("an empty password", alice(password=""), (f"{ACCOUNT}: the password is empty.",)),
    (
        "two lines in a password",
        alice(password=f"{SECRET}\nbob@example.org bob:x"),
        (f"{ACCOUNT}: the password holds a line break or a NUL byte, which Postfix cannot hold.",),
    ),
    (
        "a NUL byte in a password",
        _without_password(password_base64=_encoded(SECRET.encode() + b"\0x")),
        (f"{ACCOUNT}: the password holds a line break or a NUL byte, which Postfix cannot hold.",),
    ),
    (
        "a blank at the end of a password",
        alice(password=f"{SECRET} "),
        (
            f"{ACCOUNT}: the password ends with white space, which Postfix cannot hold: change it at the provider.",
        ),
    ),
    (
        "a password in Latin-1",
        _without_password(password_base64=_encoded(SECRET.encode() + b"\xe9")),
        (f"{ACCOUNT}: the password is not UTF-8, which Postfix cannot hold.",),
    ),
    ("a password that is not in base64", _without_password(password_base64=f"{SECRET}!"), (_BAD_BASE64,)),
    ("a number in place of base64", _without_password(password_base64=1234), (_BAD_BASE64,)),
]
