# SPDX-License-Identifier: Apache-2.0
"""How the mail of an account is fetched."""

from typing import Any

from tests.malformed.shared import ACCOUNT, Case, alice
from tests.samples import ALICE, BOB, FINGERPRINT, SECRET

_SERVER = "imap.example.com"


def _fetch(**fetch: Any) -> dict[str, Any]:  # noqa: ANN401
    return alice(fetch={"server": _SERVER, **fetch})


FETCHING: list[Case] = [
    (
        "fetch that is a text",
        alice(fetch=SECRET),
        (f"{ACCOUNT}: fetch must be true, or a mapping such as {{server: imap.example.com}}.",),
    ),
    (
        "fetch of a server that nobody knows",
        alice(fetch=True),
        (
            f"{ACCOUNT}: fetch: server must be given: where mail of mail.example.com is fetched is not known here.",
        ),
    ),
    (
        "fetch by POP3 of a provider that is known for IMAP",
        alice(address="alice@gmail.com", relay=None, fetch={"protocol": "pop3"}),
        (
            "Account 1 (alice@gmail.com): fetch: server must be given: where mail of smtp.gmail.com is fetched by POP3"
            " is not known here.",
        ),
    ),
    (
        "fetch with mistakes in each key",
        _fetch(
            sever="x",
            protocol="imaps",
            port="993",
            username=5,
            password=5,
            folders=["INBOX", 'a"b', SECRET + "*", 7],
            keep="yes",
            interval=5,
        ),
        (
            f"{ACCOUNT}: fetch has an unknown key: did you mean server.",
            f"{ACCOUNT}: fetch: protocol must be one of imap, pop3.",
            f"{ACCOUNT}: fetch: port must be a number from 1 to 65535 without quotes, usually 587 or 465.",
            f"{ACCOUNT}: fetch: username must be text: put it in quotes.",
            *(
                f"{ACCOUNT}: fetch: folder {number} holds a quotation mark, a backslash or a star, or is too long: name"
                " a mailbox."
                for number in (2, 3)
            ),
            f"{ACCOUNT}: fetch: folder 4 must be the name of a mailbox at the server, such as INBOX or Lists/Qubes.",
            f"{ACCOUNT}: fetch: keep must be true or false.",
            f"{ACCOUNT}: fetch: interval must be a number of seconds from 60 to 86400 without quotes.",
            f"{ACCOUNT}: fetch: password is not text for YAML: put it in quotes.",
        ),
    ),
    (
        "fetch with two passwords",
        _fetch(password=SECRET, password_base64="eA=="),
        (f"{ACCOUNT}: fetch has two passwords: keep password or password_base64.",),
    ),
    (
        "fetch without any password",
        alice(auth="none", password=None, fetch={"server": _SERVER}),
        (f"{ACCOUNT}: fetch has no password: give password or password_base64.",),
    ),
    (
        "fetch with a password of dom0's",
        _fetch(password_command=["pass", "mail"]),
        (f"{ACCOUNT}: fetch: password_command is for qubes.yaml in dom0: give password or password_base64.",),
    ),
    (
        "fetch from an IP address",
        _fetch(server="192.0.2.1"),
        (
            f"{ACCOUNT}: fetch: server is an IP address, which no certificate can prove: give the host name, or pin the"
            " certificate with tls: {fingerprint: [...]}.",
        ),
    ),
    (
        "fetch in clear text",
        _fetch(tls={"mode": "none"}),
        (
            f"{ACCOUNT}: fetch: tls: mode none is for a program in this qube only, with 127.0.0.1, ::1 or localhost for"
            " server: anywhere else the password and the mail would be in clear text.",
        ),
    ),
    (
        "fetch with a CA and a pin",
        _fetch(tls={"ca": "x", "fingerprint": [FINGERPRINT], "pin": "y"}),
        (
            f"{ACCOUNT}: fetch: tls has an unknown key: use ca, fingerprint, mode.",
            f"{ACCOUNT}: fetch: tls has ca and fingerprint: keep one, which alone then decides.",
            f"{ACCOUNT}: fetch: tls: ca holds no whole PEM certificate (-----BEGIN CERTIFICATE----- ...).",
        ),
    ),
    (
        "fetch of folders over POP3",
        _fetch(protocol="pop3", folders=["INBOX"]),
        (f"{ACCOUNT}: fetch: folders is for IMAP: a POP3 server has one mailbox, so leave it out.",),
    ),
    (
        "fetch where no password counts",
        _fetch(server="outlook.office365.com"),
        (
            f"{ACCOUNT}: fetch: outlook.office365.com takes no passwords any more: give auth: xoauth2 (docs/oauth.md),"
            " or leave fetch out.",
        ),
    ),
    (
        "fetch of one mailbox by two accounts",
        {
            "accounts": [
                ALICE | {"fetch": {"server": _SERVER, "username": "both"}},
                BOB | {"fetch": {"server": _SERVER, "username": "both", "folders": ["Lists", "INBOX"]}},
            ]
        },
        (f"Account 2 (bob@example.org): fetch: the same mailbox is fetched for {ACCOUNT}: keep it in one.",),
    ),
]
