# SPDX-License-Identifier: Apache-2.0
"""
The pillar, declared once: each key with its type, its default, what it means and how it is read.

``smarthost_pillar`` reads a record by it. README.md's table and, by ``tools.json_schema``, pillar.schema.json are
written from it (``make docs``). The keys of an account are in ``smarthost_account_keys``.
To add a key, add its line here, and say in ``smarthost_plan`` what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import smarthost_lists
import smarthost_qubes as qubes
import smarthost_readers as readers
from smarthost_account_keys import ACCOUNT
from smarthost_keys import FLAG, LIST, MAPPING, TEXT, Key, Kind, mapping, one_of
from smarthost_settings import TUNABLE

TABLE_TYPES = ("auto", "cdb", "hash", "lmdb", "texthash")
PACKAGES = ("fetchmail", "mutt", "neomutt")
ACCOUNTS = Kind("list", {"type": "array", "minItems": 1})
ITEMS = Kind("list", {"type": ["array", "null"]})
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
        "The qube reaches name servers and the mail servers of its accounts, and nothing else. Any rules that it has"
        " are replaced.",
        readers.flag,
        absent=False,
    ),
)

RECORD = (
    Key("accounts", ACCOUNTS, "required", "The accounts, at least one.", mapping, ACCOUNT),
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
        "packages",
        Kind("list", {"type": ["array", "null"], "items": {"enum": [*PACKAGES]}}),
        "none",
        f"What else the template side installs: {', '.join(f'`{name}`' for name in PACKAGES)}. It belongs to the entry"
        " of a template, which has no other key, or of a standalone qube. See [Packages](docs/fetching.md#packages).",
        readers.each(readers.choice(*PACKAGES), "package {}"),
        absent=[],
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
        one_of(*TABLE_TYPES),
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
