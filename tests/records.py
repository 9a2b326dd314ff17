# SPDX-License-Identifier: Apache-2.0
"""Pillars with hostile contents, good ones and ones of anything, for tests that fuzz.

A case is made from a number that hypothesis draws: some 100 draws for each would be 50 times as slow, and
the cases are too small to need shrinking.
"""

import base64
import copy
import os
import re
import unicodedata
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import smarthost_account_keys
import smarthost_schema
import smarthost_settings
from smarthost_text import in_typographic_quotes, odd_characters
from tests.lab.certificates import Authority
from tests.samples import FINGERPRINT, OTHER_FINGERPRINT

FACTS = {
    "hostname": "my-Mail",
    "uid": 1000,
    "gid": 1001,
    "home": "/home/user",
    "ca_file": "/etc/ssl/certs/ca-certificates.crt",
    "procmail": "/usr/bin/procmail",
    "submit_policy": "#!/usr/bin/python3\n",
    "ipv6": False,
    "submit_milter": "#!/usr/bin/python3\n",
}
# How many cases each test that fuzzes tries; `make fuzz` tries 100,000.
CASES = int(os.environ.get("FUZZ_CASES", "500"))
fuzz = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))

# What means something to Postfix, the shell, Jinja, YAML, procmail or a terminal; letters; odd parts of Unicode.
PIECES = (
    *"#\\\"':={}$%|!<>@,;-&~`* \t\v\f\x01\x1b\x1c\x7f\x85\xa0\u2028\u3000\ufeffaZ0",
    *"\u00e4\u017f\u0130\u212a\u00df\u05d0\u4e2d\uffff\U0001f511",
    *("  ", "${x}", "$(id)", "`id`", "{{ x }}", "{% x %}", "{# x #}", "../", " = ", " # ", "%s", "\\n", "--"),
)
DOMAINS = (
    "example.com",
    "Sub.Example.com",
    "a.b",
    "x--y.Example",
    "1.2.3.x4",
    "xn--e1a.xn--p1ai",
    "a" * 63 + ".org",
)
LOCAL_PARTS = (
    *("alice", "Alice", "a", "a.b", "al+ext", "al-ice", "al#ice", "!#$%&'*+/=?^_{|}~-", "$me", "${x}", "|sh"),
    *("/x", "{x}", "=", "%40", "user%host", "a!b", "**", "'q'", "root", "~", "_", "0", "x" * 64),
)
HOSTS = (
    "mail.example.com",
    "MAIL.example.com",
    "a",
    "1x",
    "m-1.example.org",
    "a" * 63 + ".example",
)
IPS = ("192.0.2.1", "2001:DB8::1", "::ffff:192.0.2.1")
FINGERPRINTS = (FINGERPRINT, OTHER_FINGERPRINT.lower(), ":".join(f"{n:02x}" for n in range(32)))
CA = Authority().certificate
LIST_IDS = (
    "users.example.com",
    "Users",
    "example.com",
    "a+b.c",
    "_x_",
    "-",
    "+",
    "users-x.example.com",
    "x.users",
    "~me/list.lists.example",
    "<in.brackets.example>",
    "Its name <named.example>",
    'a(b)c[d]e|f?g+h^i$j\\k{l}m"n#o\\',
    "*.star.example",
)
MATCHES = (
    "users@example.com",
    "[tag]",
    "contact x@y; run by z",
    "*@lists.example",
    "*",
    "\\",
    "$(id) `id` ${HOME}",
    "^.+?|(a)[b]$",
    "! x",
    "#",
    "{ :0",
)
HEADERS = ("X-Mailing-List", "Sender", "Subject", "0", "x-" + "a" * 74)
FOLDERS = ("list", "list/users", "a/b/c", "-x", "+", "_", "x.y", "x..", "News", "x" * 200, "List/cur.")
TUNINGS = tuple(
    (name, value)
    for name, setting in sorted(smarthost_settings.TUNABLE.items())
    for value in (*setting.values, *([True, False] if setting.values == ("yes", "no") else []))
    if name != "mailbox_size_limit"
)


def hostile(random: Random) -> str:
    """Any text without a line break or a NUL byte, mostly of the pieces above."""
    characters = [random.choice(PIECES) for _ in range(random.randint(1, 6))]
    if random.random() < 0.3:
        characters.append(chr(random.choice([random.randint(1, 0xD7FF), random.randint(0xE000, 0x10FFFF)])))
    return re.sub(r"[\n\r]", "", "".join(characters)) or "x"


def password(random: Random) -> str:
    return seen(hostile(random)) or "x"


def username(random: Random) -> str:
    return seen(hostile(random)).replace(":", "").strip() or "x"


def seen(text: str) -> str:
    """What is left of a text without what cannot be seen or told apart, and without blanks at its ends."""
    text = "".join(character for character in text if not odd_characters(character)).strip()
    text = unicodedata.normalize("NFC", text)
    return f"x{text}x" if in_typographic_quotes(text) else text


def address(random: Random) -> str:
    return f"{random.choice(LOCAL_PARTS)}@{random.choice(DOMAINS)}"


def some(random: Random, choices: list[Any], most: int) -> list[Any]:
    return random.sample(choices, random.randint(0, min(most, len(choices))))


def distinct(texts: list[str]) -> list[str]:
    """The texts without those that differ from an earlier one in case only."""
    return list({text.lower(): text for text in reversed(texts)}.values())


def account(random: Random, senders: list[str], policies: dict[tuple[str, int], dict]) -> dict[str, Any]:
    secret = password(random)
    made: dict[str, Any] = {"address": senders[0]}
    if senders[1:]:
        made["senders"] = senders[1:]
    if random.random() < 0.1:
        made["auth"] = "none"
    else:
        if random.random() < 0.5:
            made["password"] = secret
        else:
            made["password_base64"] = base64.b64encode(secret.encode()).decode()
        if random.random() < 0.5:
            made["username"] = username(random)
    port = random.choice([None, 25, 465, 587])
    if port:
        made["port"] = port
    tls: dict[str, Any] = {}
    made["relay"] = random.choice(HOSTS)
    kind = random.random()
    if kind < 0.4:
        made["relay"] = random.choice((*HOSTS, *IPS, "localhost"))
        tls["fingerprint"] = some(random, FINGERPRINTS, 2) or [FINGERPRINTS[0]]
        if random.random() < 0.5:
            tls["mode"] = random.choice(("implicit", "starttls"))
    elif kind < 0.5:
        tls["ca"] = CA
    elif kind < 0.6:
        made["relay"] = random.choice(("localhost", "127.0.0.1", "::1"))
        tls["mode"] = "none"
    # One relay and port has one policy.
    host = made["relay"].lower().replace("localhost", "127.0.0.1")
    tls = policies.setdefault((host, port or smarthost_account_keys.DEFAULT_PORT), tls)
    return made | ({"tls": tls} if tls else {})


def record(random: Random) -> dict[str, Any]:
    """A good pillar."""
    own = distinct([address(random) for _ in range(random.randint(1, 5))])
    policies: dict[tuple[str, int], dict] = {}
    accounts = [account(random, own[start : start + 2], policies) for start in range(0, len(own), 2)]
    if random.random() < 0.5:
        random.choice(accounts)["default"] = True
    discarded = distinct(some(random, [*DOMAINS, address(random), address(random)], 2))
    return {
        "accounts": accounts,
        "discard_senders": [
            name
            for name in discarded
            if not any(is_discarded(sender.lower(), name.lower()) for sender in own)
        ],
        "disposables": random.choice([True, False]),
        "lists": [
            {"list_id": list_id, "folder": random.choice(FOLDERS)}
            for list_id in distinct(some(random, LIST_IDS, 3))
        ]
        + [
            {"header": random.choice(HEADERS), "match": text, "folder": random.choice(FOLDERS)}
            for text in distinct(some(random, list(MATCHES), 3))
        ],
        "settings": dict(some(random, TUNINGS, 3)),
        "table_type": random.choice(smarthost_schema.TABLE_TYPES),
        "user": random.choice(["user", "_x", "a-b_c", "u" * 32]),
    }


def is_discarded(sender: str, name: str) -> bool:
    """Tell whether a row for a name in access(5) is one for a sender, both in lower case."""
    return sender == name or f".{sender.partition('@')[2]}".endswith(f".{name}")


def mutated(random: Random, record: dict[str, Any]) -> dict[str, Any]:
    """A copy of a pillar with hostile pieces, line breaks and NUL bytes put into one of its texts or two."""
    made = copy.deepcopy(record)
    for _ in range(random.choice((1, 1, 1, 2))):
        # First a key: else most would be settings and passwords.
        texts = list(texts_within(made))
        chosen = random.choice(sorted({key for key, _, _ in texts}))
        holder, at = random.choice([place for key, *place in texts if key == chosen])
        for _ in range(random.choice((1, 1, 1, 2))):
            piece = random.choice(random.choice((PIECES, PIECES, "\n\n\r\0")))
            text = holder[at]
            # Much depends on what a text begins and ends with.
            cut = random.choice((0, len(text), random.randint(0, len(text))))
            holder[at] = text[:cut] + piece + text[cut:]
    return made


def texts_within(value: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401
    """Each text that a pillar holds: the key that it belongs to, its list or mapping, and its place in that."""
    if not isinstance(value, dict | list):
        return
    for at, inner in value.items() if isinstance(value, dict) else enumerate(value):
        of = at if isinstance(value, dict) else key
        if isinstance(inner, str):
            yield of, value, at
        yield from texts_within(inner, of)


def anything(random: Random, texts: list[str], keys: list[str], depth: int = 2) -> Any:  # noqa: ANN401
    """What JSON and YAML can hold, made of some texts and keys, and hostile ones."""
    kind = random.randrange(10 if depth else 7)
    if kind < 4:
        return random.choice([*texts, hostile(random)])
    if kind < 7:
        return random.choice([None, True, False, 0, -1, 587, 10**20, 1.5, float("nan"), "", []])
    inner = [anything(random, texts, keys, depth - 1) for _ in range(random.randint(0, 3))]
    if kind == 7:
        return inner
    return {random.choice([*keys, *texts, hostile(random), 1, None]): value for value in inner}


randoms = st.integers(0, 2**64 - 1).map(Random)
records = randoms.map(record)
