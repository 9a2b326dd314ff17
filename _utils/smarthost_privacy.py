# SPDX-License-Identifier: Apache-2.0
"""
What is taken out of mail that leaves the qube: its host name, its users, its programs.

Only names that the qube has or had are its own: others without a dot are in message IDs and addresses of others. The
boot script puts a name that an apply did not know before the end of each list of names here.

Pure functions. Sources: header_checks(5), generic(5), canonical(5), transport(5), regexp_table(5).
"""

from __future__ import annotations

import re
from typing import Any

HOST_NAME = "localhost.localdomain"
# The files that hold lists of names, and how the lists end: no host is called so. The manifest tells the boot script.
NAMED = (
    "local_recipients",
    "local_relay",
    "local_senders",
    "recipients",
    "sender_canonical",
    "smtp_generic",
    "smtp_header_checks",
)
_END = "-"
_ANY_END = "--"

# Of loopback, and of what Qubes gives to its qubes.
_LITERAL = "\\[(127\\.[0-9.]+|10\\.13[789]\\.[0-9.]+|(IPv6:)?::1)\\]"
# What a mail program says of itself and its machine. In a message that is only passed on, submit-milter gives them a
# prefix, by which they pass.
_PROGRAM = "User-Agent|X-Mailer|X-Originating-IP|X-Sender|X-X-Sender"
_PASSED_ON = "Passed-On-"
_UNREACHABLE = "error:5.1.2 The domain of this address is not complete, or no mail server is reached by it"


def own_names(hostname: str, names: tuple[str, ...]) -> list[str]:
    """
    Return the names of the qube, each once, as patterns compare them.

    hostname : str
        The one that it has.
    names : tuple
        Those that it is known to have had.
    """
    return list(dict.fromkeys(name.lower() for name in (*names, hostname) if name))


def sender_canonical(record: dict[str, Any], names: list[str]) -> str:
    """Give local senders one domain, by which the default account is found."""
    rules = (
        f"(.*)@{_short(names)}(\\.localdomain)?\\.?",
        "(.*)@localhost(\\.localdomain)?\\.",
        "(.*)@(localhost)",
        f"(root|{record['user']})@{_any(names)}\\.?",
    )
    return "".join(f"/^{rule}$/ $1@{HOST_NAME}\n" for rule in rules)


def local_relay(record: dict[str, Any], names: list[str], way: str) -> str:
    """Give local senders the way of the default account while smtpd(8) looks at them, which is before canonical(5)."""
    return f"/^({_inside(record['user'], names, '.*')})$/ {way}\n"


def local_senders(record: dict[str, Any], names: list[str]) -> str:
    """Say which senders are local, for access(5)."""
    return f"/^({_inside(record['user'], names, '.*')})$/ OK\n"


def recipients(names: list[str]) -> str:
    """
    Say which recipients are local, and which cannot be reached.

    It is looked up by domain (mydestination) and by address (transport_maps). A domain without a dot is no mail
    domain, but an address that somebody has not written to its end; and no relay can reach another qube.
    """
    short = _short(names)
    return (
        f"/^{short}(\\.localdomain)?$/ local\n"
        f"/@(localhost|{short})(\\.localdomain)?\\.?$/ :\n"
        f"/@([^].@:]+\\.?|\\[10\\.13[789]\\..*)$/ {_UNREACHABLE}\n"
    )


def generic(record: dict[str, Any], names: list[str]) -> str:
    """Let the default account stand for any address inside the qube, in headers and envelopes that leave it."""
    address = record["accounts"][0]["address"].replace("$", "$$")
    return f"/^([^@]+|{_inside(record['user'], names, '.*')})$/ {address}\n"


def header_checks(record: dict[str, Any], names: list[str]) -> str:
    """Take the qube's own hops, its host name, its users and its programs out of what leaves it."""
    user = record["user"]
    here = f"((localhost|{_short(names)})(\\.localdomain)?|{_any(names)})\\.?"
    inside = _inside(user, names, "[^@<>,]*")
    senders = (_sender(sender) for account in record["accounts"] for sender in account["senders"])
    # What sendmail(1) adds has the envelope sender.
    address = f"({'|'.join([inside, *senders])})"
    headers = "From|Sender|Reply-To|To|Cc|Mail-Followup-To|Disposition-Notification-To"
    to_or_from = f"^((Resent-)?({headers}):(.*,)?[[:space:]]*)"
    ids = "^((Message-ID|Resent-Message-ID|In-Reply-To|References):.*)"
    comma = "(.*,[[:space:]]*)"
    return "".join(
        [
            f"/^Received:.*[[:space:]]by {here}[[:space:]]/ IGNORE\n",
            f"/^({_PROGRAM}):/ IGNORE\n",
            f"/^{_PASSED_ON}({_PROGRAM}):(.*)/ REPLACE $1:$2\n",
            # In what was delivered here before.
            f"/^(Delivered-To|X-Original-To):[[:space:]]*([^@]*|{inside})[[:space:]]*$/ IGNORE\n",
            # sendmail(1) puts the name of the user before the address, others behind it.
            *_each(to_or_from, f'"?(root|{user})"?[[:space:]]*(<{address}>)', 2, comma, most=2),
            *_each(to_or_from, f"({inside})[[:space:]]*\\((root|{user})\\)", 1, comma, most=1),
            *_each(ids, f"@{_any(names)}(\\.localdomain)?\\.?>", f"@{HOST_NAME}>", "(.*)", most=5),
        ]
    )


def local_recipients(names: list[str]) -> str:
    """Say which recipients are local, for access(5): whether there is one is looked up when the recipient is named."""
    return f"/^.*@(localhost|{_short(names)})(\\.localdomain)?\\.?$/ reject_unlisted_recipient, permit\n"


def forwarded_sender(record: dict[str, Any]) -> str:
    """Let the default account stand for the sender of what an alias sends on, but not for that of a report, <>."""
    address = record["accounts"][0]["address"].replace("$", "$$")
    return f"/@/ {address}\n"


def literal(text: str) -> str:
    """Quote a host name or the like for regular expressions, those of procmail(1) and POSIX."""
    return re.sub(r"([.+])", r"\\\1", text)


def _short(names: list[str]) -> str:
    """Return a list of the names without a dot, as a pattern: one with a dot could be somebody's real domain."""
    return _names([name for name in names if "." not in name and name != "localhost"], _END)


def _any(names: list[str]) -> str:
    return _names([name for name in names if name not in ("localhost", HOST_NAME)], _ANY_END)


def _names(names: list[str], end: str) -> str:
    return f"({''.join(f'{literal(name)}|' for name in names)}{end})"


def _inside(user: str, names: list[str], local_part: str) -> str:
    """Return a pattern of addresses inside the qube."""
    return (
        f"({local_part}@(localhost|{_short(names)})(\\.localdomain)?\\.?|{local_part}@{_LITERAL}"
        f"|(root|{user})@{_any(names)}\\.?)"
    )


def _sender(sender: str) -> str:
    """Return a pattern of a sender, or of those of a whole domain."""
    text = re.sub(r"([].[(){}*+?^$|/\\])", r"\\\1", sender)
    return f"[^@<>,]*{text}" if sender.startswith("@") else text


def _each(head: str, one: str, kept: int | str, between: str, most: int) -> list[str]:
    """
    Return rules that put a group or a text in place of what matches in a header, each time.

    Only the first rule that matches a header acts on it: each takes one more than the next.
    """
    rules = []
    for count in range(most, 0, -1):
        pattern, text = head, "$1"
        for number in range(count):
            before = _groups(pattern)
            pattern += one
            text += kept if isinstance(kept, str) else f"${{{before + kept}}}"
            text += f"${{{_groups(pattern) + 1}}}"
            pattern += between if number < count - 1 else "(.*)$"
        rules.append(f"/{pattern}/ REPLACE {text}\n")
    return rules


def _groups(pattern: str) -> int:
    return len(re.findall(r"(?<!\\)\(", pattern))
