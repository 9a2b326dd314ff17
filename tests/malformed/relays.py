# SPDX-License-Identifier: Apache-2.0
"""The relay of an account, and the TLS to it."""

from tests.malformed.shared import ACCOUNT, LINE_BREAK, Case, alice
from tests.samples import ALICE, FINGERPRINT, OTHER_FINGERPRINT, SECRET

_FINGERPRINTS = (
    f"{ACCOUNT}: tls: fingerprint must hold SHA-256 fingerprints, 32 pairs of hexadecimal digits with colons between"
    ' them, in quotes ("AB:CD:...").'
)
_RELAY_MISSING = (
    f"{ACCOUNT}: example.com is no provider that is known here: give relay,"
    " the host name of its submission server."
)
_RELAY_NO_TEXT = f"{ACCOUNT}: relay must be the host name of the provider's submission server."
_BARE_RELAY = f"{ACCOUNT}: relay must be a bare host name like mail.example.com: the port goes into port."
_TWO_LINES = f"{ACCOUNT}: relay {LINE_BREAK.format(17)}"
_NO_HOST = f"{ACCOUNT}: relay is not a host name like mail.example.com."
_PORT = f"{ACCOUNT}: port must be a number from 1 to 65535 without quotes, usually 587 or 465."

RELAYS: list[Case] = [
    ("no relay", alice(relay=None), (_RELAY_MISSING,)),
    ("a relay that is no text", alice(relay=["mail.example.com"]), (_RELAY_NO_TEXT,)),
    ("a relay with its port", alice(relay="mail.example.com:587"), (_BARE_RELAY,)),
    ("a relay in brackets", alice(relay="[mail.example.com]"), (_BARE_RELAY,)),
    ("a relay as an URL", alice(relay=f"smtps://alice:{SECRET}@mail.example.com"), (_BARE_RELAY,)),
    (
        "two lines in a relay",
        alice(relay="mail.example.com\nsmtp_tls_security_level = none"),
        (_TWO_LINES,),
    ),
    (
        "a relay outside ASCII",
        alice(relay="\u017fmtp.example.com"),
        (f"{ACCOUNT}: relay is not ASCII: write it as smtp.example.com.",),
    ),
    ("a relay with an underscore", alice(relay="mail_1.example.com"), (_NO_HOST,)),
    ("half an IP address", alice(relay="10.0.0"), (_NO_HOST,)),
    (
        "an IP address without a fingerprint",
        alice(relay="10.0.0.1"),
        (
            f"{ACCOUNT}: relay is an IP address, which no certificate can prove: give the host name, or pin the"
            " certificate with tls: {fingerprint: [...]}.",
        ),
    ),
    (
        "a line in the zone of an IP address",
        alice(relay="fe80::1%\n[evil.example]:25 none", tls={"fingerprint": [FINGERPRINT]}),
        (f"{ACCOUNT}: relay {LINE_BREAK.format(9)}",),
    ),
    ("a port in quotes", alice(port="587"), (_PORT,)),
    ("a port that is a truth", alice(port=True), (_PORT,)),
    ("a port that is too high", alice(port=65536), (_PORT,)),
    # TLS.
    (
        "tls that is no mapping",
        alice(tls="starttls"),
        (f"{ACCOUNT}: tls must be a mapping with ca, fingerprint or mode.",),
    ),
    (
        "tls without a value",
        {"accounts": [ALICE | {"tls": None}]},
        (f"{ACCOUNT}: tls must be a mapping with ca, fingerprint or mode.",),
    ),
    (
        "tls that is not verified",
        alice(tls={"verify": False}),
        (f"{ACCOUNT}: tls has an unknown key: use ca, fingerprint, mode.",),
    ),
    (
        "a mode that there is not",
        alice(tls={"mode": "opportunistic"}),
        (f"{ACCOUNT}: tls: mode must be one of implicit, none, starttls.",),
    ),
    ("a fingerprint that is short", alice(tls={"fingerprint": ["AB:CD"]}), (_FINGERPRINTS,)),
    ("a fingerprint without colons", alice(tls={"fingerprint": ["AB" * 32]}), (_FINGERPRINTS,)),
    (
        "a fingerprint with another policy behind it",
        alice(tls={"fingerprint": [FINGERPRINT + " match=" + FINGERPRINT]}),
        (_FINGERPRINTS,),
    ),
    (
        "a fingerprint that is no list",
        alice(tls={"fingerprint": FINGERPRINT}),
        (f"{ACCOUNT}: tls: fingerprint must be a list.",),
    ),
    (
        "no fingerprint at all",
        alice(tls={"fingerprint": []}),
        (f"{ACCOUNT}: tls: fingerprint is empty: give a SHA-256 fingerprint, or leave the key out.",),
    ),
    (
        "two policies for one relay",
        {
            "accounts": [
                ALICE | {"tls": {"fingerprint": [FINGERPRINT]}},
                ALICE | {"address": "al@example.com", "tls": {"fingerprint": [OTHER_FINGERPRINT]}},
            ]
        },
        (f"Account 2 (al@example.com): tls differs from {ACCOUNT}, which uses the same relay and port.",),
    ),
]
