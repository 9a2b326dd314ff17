# SPDX-License-Identifier: Apache-2.0
"""
The pillar, declared once: each key with its type, its default, what it means and how it is read.

``smarthost_pillar`` reads a record by it. README.md's table and, by ``tools.json_schema``, pillar.schema.json are
written from it (``make docs``).
To add a key, add its line here, and say in ``smarthost_plan`` what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import smarthost_lists
import smarthost_qubes as qubes
import smarthost_readers as readers
from smarthost_settings import TUNABLE

TABLE_TYPES = ("auto", "cdb", "hash", "lmdb", "texthash")
TLS_MODES = ("implicit", "none", "starttls")
AUTH = ("none", "password")
DEFAULT_PORT = 587
IMPLICIT_TLS_PORT = 465


class Kind(NamedTuple):
    """
    A type of values.

    words
        What README.md calls it.
    schema
        The same in JSON Schema, for editors: what it takes may still be refused.
    """

    words: str
    schema: dict[str, Any]


class Key(NamedTuple):
    """
    A key of the pillar.

    name, kind
        As one writes it.
    default
        What holds without it, in the words of README.md; ``required`` for a key that has to be there.
    meaning
        What README.md says of it.
    read
        What brings a value into its regular form, or says what is wrong with it.
    keys
        Those of the mapping that it holds, or of each of the mappings in its list.
    absent
        The regular form of a key that is not there, unless a rule of ``smarthost_pillar`` finds it.
    """

    name: str
    kind: Kind
    default: str
    meaning: str
    read: readers.Reader
    keys: tuple[Key, ...] = ()
    absent: Any = None


TEXT = Kind("text", {"type": "string"})
FLAG = Kind("true or false", {"type": "boolean"})
PORT = Kind("number", {"type": "integer", "minimum": 1, "maximum": 65535})
LIST = Kind("list", {"type": ["array", "null"], "items": {"type": "string"}})
ACCOUNTS = Kind("list", {"type": "array", "minItems": 1})
ITEMS = Kind("list", {"type": ["array", "null"]})
MAPPING = Kind("mapping", {"type": "object"})


def _one_of(*choices: str) -> Kind:
    return Kind(", ".join(f"`{choice}`" for choice in choices), {"enum": [*choices]})


def _mapping(value: object) -> object:
    return value


_SETTINGS = Kind(
    "mapping",
    {
        "type": ["object", "null"],
        "properties": {
            name: {"type": ["string", "integer", "boolean"], "description": f"It must be {setting.must_be}."}
            for name, setting in sorted(TUNABLE.items())
        },
        "additionalProperties": False,
    },
)

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
        Kind("`password` or `none`", {"enum": [*AUTH]}),
        "`password`",
        "`none`: the relay accepts mail without a login. Its certificate is still verified."
        " See [A relay without a login](docs/relays.md#a-relay-without-a-login).",
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
    Key("tls", MAPPING, "none", "How the relay is reached and verified.", _mapping, TLS, absent={}),
)

LISTS = (
    Key(
        "list_id",
        TEXT,
        "required, or the next two",
        "What is in `< >` in the List-Id header.",
        smarthost_lists.list_id,
    ),
    Key(
        "header",
        TEXT,
        "none",
        "Another header by which its mail is recognised, such as `X-Mailing-List`.",
        smarthost_lists.header,
    ),
    Key(
        "match",
        TEXT,
        "none",
        "Text in that header, which is not part of a longer word or address.",
        smarthost_lists.match,
    ),
    Key("folder", TEXT, "required", "Maildir below `~/.maildir`.", smarthost_lists.folder),
    Key(
        "sender",
        TEXT,
        "none",
        "Address of one of the accounts, from which mutt writes in this folder. See [mutt and neomutt]"
        "(docs/programs.md#mutt-and-neomutt).",
        readers.address,
    ),
)

QUBE = (
    Key(
        "template",
        TEXT,
        "`debian-13-mail`, or after `clone`",
        "Its template.",
        qubes.name,
        absent="",
    ),
    Key(
        "clone",
        TEXT,
        "`debian-13-xfce`, unless `template` is given",
        "The template that this one is cloned from if it does not exist.",
        qubes.name,
        absent="",
    ),
    Key("label", TEXT, "`yellow`", "Its label.", qubes.label, absent=qubes.LABEL),
    Key(
        "netvm",
        TEXT,
        "as it is",
        "What gives it its network, such as `sys-whonix`; set at each apply.",
        qubes.name,
        absent="",
    ),
    Key(
        "tags",
        LIST,
        "none",
        "Tags beside `postfix-smarthost`, which it and its template always get.",
        readers.each(qubes.tag, "tag {}"),
        absent=[],
    ),
    Key(
        "firewall",
        FLAG,
        "false",
        "The qube reaches name servers and the relays of its accounts, and nothing else. Any rules that it has are"
        " replaced.",
        readers.flag,
        absent=False,
    ),
)

RECORD = (
    Key("accounts", ACCOUNTS, "required", "The accounts, at least one.", _mapping, ACCOUNT),
    Key(
        "discard_senders",
        LIST,
        "none",
        "Domains (with their subdomains) and addresses. Mail from them that comes in by SMTP is thrown away.",
        readers.listing,
        absent=[],
    ),
    Key(
        "disposables",
        FLAG,
        "false",
        "Disposables based on this qube may send mail, too.",
        readers.flag,
        absent=False,
    ),
    Key(
        "lists",
        ITEMS,
        "none",
        "Mailing lists to sort; the first one that matches counts. See [Sorting lists](#sorting-lists).",
        readers.listing,
        LISTS,
        [],
    ),
    Key(
        "mutt",
        FLAG,
        "false",
        "The user's muttrc gets the line that reads what [follows from the accounts]"
        "(docs/programs.md#mutt-and-neomutt); it is made if there is none.",
        readers.flag,
        absent=False,
    ),
    Key(
        "notifications",
        FLAG,
        "true",
        "A note on the desktop, once for each reason, when mail has waited long or its login is refused.",
        readers.flag,
        absent=True,
    ),
    Key(
        "qube",
        MAPPING,
        "none",
        "In `qubes.yaml` only: how dom0 makes this qube and its template if they do not exist. See"
        " [Templates and qubes](docs/qubes.md).",
        lambda value: qubes.read(value, QUBE),
        QUBE,
        absent={},
    ),
    Key(
        "settings",
        _SETTINGS,
        "none",
        "Parameters of main.cf that tune sizes, times and limits, such as `message_size_limit`, `delay_warning_time` or"
        " `maximal_queue_lifetime`. Any other is refused, with the reason, and so is a value out of range;"
        " `postfix_smarthost.refused NAME` says in advance whether a parameter is.",
        readers.settings,
        absent={},
    ),
    Key(
        "table_type",
        _one_of(*TABLE_TYPES),
        "`auto`",
        "Type of Postfix's tables. `auto` is what the installed Postfix prefers. cdb and lmdb need a package of their"
        " own in the template.",
        readers.choice(*TABLE_TYPES),
        absent="auto",
    ),
    Key(
        "user",
        TEXT,
        "`user`",
        "Local user who reads the mail and may send it. Mail to root always goes to `user`, as the template's"
        " `/etc/aliases` says.",
        readers.user,
        absent="user",
    ),
)


def names(keys: tuple[Key, ...]) -> list[str]:
    """Return the names of some keys, sorted."""
    return sorted(key.name for key in keys)


def paths(keys: tuple[Key, ...] = RECORD, above: str = "") -> Iterator[tuple[str, Key]]:
    """
    Return each key with its path, such as ``accounts:tls:mode``, each before those below it.

    keys : tuple
        Keys of one mapping.
    above : str
        The path to that, with a colon at its end.
    """
    for key in keys:
        yield above + key.name, key
        yield from paths(key.keys, f"{above}{key.name}:")
