# SPDX-License-Identifier: Apache-2.0
"""The keys of an account, declared once; see ``smarthost_schema``."""

from __future__ import annotations

import smarthost_lists
import smarthost_readers as readers
from smarthost_keys import FLAG, LIST, MAPPING, PORT, TEXT, Key, Kind, mapping, one_of
from smarthost_mailboxes import mailbox
from smarthost_oauth import PROVIDERS, TENANT, XOAUTH2

TLS_MODES = ("implicit", "none", "starttls")
AUTH = ("none", "password", XOAUTH2)
DEFAULT_PORT = 587
IMPLICIT_TLS_PORT = 465
# Of fetching (RFC 8314); the ports by when TLS begins: with the connection, or by a command.
PROTOCOLS = ("imap", "pop3")
IMPLICIT_PORTS = {"imap": 993, "pop3": 995}
CLEAR_PORTS = {"imap": 143, "pop3": 110}
INBOX = "INBOX"
# In seconds; a provider may take more looks for an attack.
INTERVALS = (60, 86400)
INTERVAL = 300

TLS = (
    Key(
        "mode",
        Kind("`starttls`, `implicit` or `none`", {"enum": ["starttls", "implicit", "none"]}),
        "`implicit` on port 465, else `starttls`",
        "When TLS begins. `none` is for a [program in this qube]"
        "(docs/relays.md#proton-bridge-and-other-programs-in-the-qube), with 127.0.0.1, ::1 or `localhost`"
        " as its relay.",
        readers.choice(*TLS_MODES),
    ),
    Key(
        "ca",
        TEXT,
        "none",
        "PEM certificate of a [private CA](docs/relays.md#a-relay-with-a-private-ca). Only this CA is then"
        " trusted for this relay, and it is trusted for no other.",
        readers.ca,
        absent="",
    ),
    Key(
        "fingerprint",
        LIST,
        "none",
        "SHA-256 fingerprints of the relay's certificate or public key. Only a relay with one of them is then trusted."
        " Without this key and `ca`, the system's CAs must vouch for the name of the relay.",
        readers.fingerprints,
        absent=[],
    ),
)

FETCH = (
    Key(
        "server",
        TEXT,
        "that of the provider, if it is known",
        "Host name of its IMAP or POP3 server.",
        readers.mail_server,
        absent="",
    ),
    Key(
        "protocol",
        Kind("`imap` or `pop3`", {"enum": [*PROTOCOLS]}),
        "`imap`",
        "POP3 has one mailbox, and tells of no new mail by itself.",
        readers.choice(*PROTOCOLS),
    ),
    Key("port", PORT, "that of protocol and TLS mode", "TCP port of the server.", readers.port),
    Key("username", TEXT, "that of the account", "The name to log in with there.", readers.username),
    Key("password", TEXT, "that of the account", "The password there.", readers.password),
    Key("password_base64", TEXT, "none", "The same in base64.", readers.password_base64),
    Key("password_command", LIST, "none", "As `accounts:password_command`.", readers.only_in_dom0),
    Key(
        "folders",
        LIST,
        "`[INBOX]`",
        "The mailboxes at the server that are fetched. With IMAP and one of them, new mail comes at once (IDLE).",
        readers.each(mailbox, "folder {}"),
        absent=[],
    ),
    Key(
        "keep",
        FLAG,
        "false",
        "What is fetched stays at the server, too.",
        readers.flag,
        absent=False,
    ),
    Key(
        "interval",
        Kind("number", {"type": "integer", "minimum": INTERVALS[0], "maximum": INTERVALS[1]}),
        str(INTERVAL),
        "Seconds between two looks at the server.",
        readers.seconds(*INTERVALS),
        absent=INTERVAL,
    ),
    Key(
        "tls",
        MAPPING,
        "that of the relay, if it is the same host",
        "How the server is reached and verified.",
        mapping,
        (
            TLS[0]._replace(
                default="`starttls` on port 143 or 110, else `implicit`", meaning="As `accounts:tls:mode`."
            ),
            TLS[1]._replace(meaning="As `accounts:tls:ca`."),
            TLS[2]._replace(meaning="As `accounts:tls:fingerprint`."),
        ),
        absent={},
    ),
)

OAUTH = (
    Key(
        "client_id",
        TEXT,
        "required",
        "The ID of the application that you have registered with the provider.",
        readers.client_text,
        absent="",
    ),
    Key(
        "client_secret",
        TEXT,
        "none",
        "Its secret, where the provider gives one, as Google does. Only root can read it in the qube.",
        readers.client_text,
        absent="",
    ),
    Key(
        "provider",
        one_of(*PROVIDERS),
        "that of the relay, if it is known",
        "Who gives the tokens.",
        readers.choice(*PROVIDERS),
    ),
    Key(
        "tenant",
        TEXT,
        f"`{TENANT}`",
        "Microsoft's: `consumers` for a private account, or the ID or domain of the organisation.",
        readers.tenant,
        absent=TENANT,
    ),
    Key(
        "token_endpoint",
        TEXT,
        "that of the provider",
        "For another provider: the URL that tokens come from.",
        readers.endpoint,
        absent="",
    ),
    Key(
        "device_endpoint",
        TEXT,
        "that of the provider",
        "For another provider: the URL that device codes come from.",
        readers.endpoint,
        absent="",
    ),
    Key(
        "authorization_endpoint",
        TEXT,
        "that of the provider",
        "For another provider: the URL of the page where the user agrees.",
        readers.endpoint,
        absent="",
    ),
    Key(
        "scope",
        TEXT,
        "that of the provider",
        "What the tokens are for, in the words of the provider, with blanks between them.",
        readers.scope,
        absent="",
    ),
)

ACCOUNT = (
    Key(
        "address",
        TEXT,
        "required",
        "Mail from this address leaves through this account. A whole domain goes in `senders`.",
        readers.address,
    ),
    Key(
        "relay",
        TEXT,
        "that of the provider, if it is known",
        "Host name of the provider's submission server. An IP address needs a fingerprint, unless `tls:mode` is `none`."
        " `localhost` means 127.0.0.1.",
        readers.relay,
    ),
    Key(
        "auth",
        Kind("`password`, `xoauth2` or `none`", {"enum": [*AUTH]}),
        "`password`",
        "`xoauth2`: the relay takes a token instead of a password, see [OAuth](docs/oauth.md). `none`: it accepts mail"
        " [without a login](docs/relays.md#a-relay-without-a-login). Its certificate is still verified.",
        readers.choice(*AUTH),
        absent="password",
    ),
    Key("port", PORT, "that of the provider, else 587", "TCP port of the relay.", readers.port),
    Key(
        "username",
        TEXT,
        "as the provider wants it, else the address",
        "The name to log in with, without a colon.",
        readers.username,
    ),
    Key(
        "password",
        TEXT,
        "required, or the next one",
        "Any text, except for line breaks and NUL, which Postfix cannot hold, and for what cannot be seen or told"
        " apart: white space at either end, control characters, zero-width spaces and the like. Quote it: without"
        " quotes, YAML reads `0123` as a number.",
        readers.password,
    ),
    Key(
        "password_base64",
        TEXT,
        "none",
        "The password in base64: `printf %s 'PASSWORD' \\| base64 -w 0`.",
        readers.password_base64,
    ),
    Key(
        "password_command",
        LIST,
        "none",
        "In `qubes.yaml` only: dom0 runs this program with its arguments at each apply, and takes the first line that"
        " it prints for the password, as in `[qvm-run, --pass-io, vault, 'pass mail/me']`.",
        readers.only_in_dom0,
    ),
    Key(
        "senders",
        LIST,
        "none",
        'More addresses that send through this account. `"@example.com"` stands for every address of that domain that'
        " no other account lists.",
        readers.each(readers.sender, "sender {}"),
        absent=[],
    ),
    Key(
        "default",
        FLAG,
        "false",
        "Local senders use this account. If no account is the default, they use the first one.",
        readers.flag,
        absent=False,
    ),
    Key(
        "folder",
        TEXT,
        "none",
        "Maildir below `~/.maildir` for mail that is written to this account, and is of no list.",
        smarthost_lists.folder,
        absent="",
    ),
    Key("tls", MAPPING, "none", "How the relay is reached and verified.", mapping, TLS, absent={}),
    Key(
        "fetch",
        Kind("true, or a mapping", {"type": ["boolean", "object"]}),
        "false",
        "Mail of this account is fetched, too: with a known provider, `true` is enough. See"
        " [Fetching mail](docs/fetching.md).",
        mapping,
        FETCH,
        absent=False,
    ),
    Key(
        "oauth",
        MAPPING,
        "none",
        "With `auth: xoauth2`: who gives the tokens. See [OAuth](docs/oauth.md).",
        mapping,
        OAUTH,
        absent={},
    ),
)
