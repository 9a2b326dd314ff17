# SPDX-License-Identifier: Apache-2.0
"""
Recognise a configuration of Postfix that was made by hand after the recipe which this formula replaces.

In that one, ``/rw/config/rc.local`` mounts ``/usr/local/etc/postfix`` over ``/etc/postfix`` and starts Postfix. Pure
functions: no file, no program and no Salt dunder is touched.

Sources: postconf(5) and master(5) for the form of main.cf and master.cf; mount(8), systemctl(1).
"""

from __future__ import annotations

import re
from typing import Any

# The tables of the recipe and what compiles them.
FILES = ("Makefile", "generic", "saslpass", "sender_access", "sender_relay")

# What the recipe's main.cf sets and the formula leaves at Postfix's own value or replaces by its own way.
_RECIPE = [
    "alias_maps",
    "compatibility_level",
    "home_mailbox",
    "html_directory",
    "inet_protocols",
    "local_header_rewrite_clients",
    "mail_owner",
    "mailbox_command",
    "mailq_path",
    "manpage_directory",
    "mydestination",
    "mynetworks_style",
    "newaliases_path",
    "queue_directory",
    "readme_directory",
    "sender_dependent_relayhost_maps",
    "sendmail_path",
    "setgid_group",
    "smtp_generic_maps",
    "smtp_sasl_auth_enable",
    "smtp_sasl_mechanism_filter",
    "smtp_sasl_password_maps",
    "smtp_sasl_security_options",
    "smtp_sender_dependent_authentication",
    "smtp_tls_security_level",
    "smtpd_relay_restrictions",
    "smtpd_sender_restrictions",
]
# Services of the master.cf that Debian and Fedora ship, besides those of the formula's own.
_SHIPPED = [
    "bsmtp/unix",
    "ifmail/unix",
    "lmtp/unix",
    "mailman/unix",
    "maildrop/unix",
    "postlog/unix-dgram",
    "relay/unix",
    "scalemail-backend/unix",
    "smtp/unix",
    "uucp/unix",
    "virtual/unix",
]
_ON_TABLE = r"(?:/usr/local|/rw/usrlocal)/etc/postfix/?"
_ACTIVATION = (
    re.compile(rf"\s*(?:/\S*/)?mount\s+(?:--bind|-B|-o\s*bind)\s+{_ON_TABLE}\s+/etc/postfix/?\s*(?:#.*)?"),
    re.compile(
        r"\s*(?:/\S*/)?systemctl\s+(?:--no-block\s+)?(?:re)?start\s+(?:--no-block\s+)?postfix(?:\.service)?\s*(?:#.*)?"
    ),
)
# The parts of a shell script that hold line breaks which end no line of it, by bash(1), QUOTING.
_PART = re.compile(
    r"""\\.                                     # what is escaped
      | (?<![^\s;&|()])\#[^\n]*                # a comment
      | (?P<plain>\$'(?:\\.|[^'\\])*' | '[^']*' | `(?:\\.|[^`\\])*` | =\([^()'"`]*\))
      | (?P<text>"(?:\\.|[^"\\])*")
      | (?P<open>['"`])
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTINUES = re.compile(r"(?:\\|(?:&&|\|)\s*(?:#.*)?)$")
_RELATED = re.compile(r"(?!\s*#).*(?:\bmount\b.*/etc/postfix|\bstart\b.*\bpostfix|\bpostfix\b.*\bstart)")


def rc_local(text: str) -> dict[str, Any]:
    """
    Take the lines out of rc.local that mount the configuration and start Postfix.

    text : str
        The text of ``/rw/config/rc.local``.

    Returns a dictionary of ``text`` without these lines, ``removed`` (how many) and ``related``: the numbers of the
    lines of the new text that seem to do the same in another way.
    """
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    # What belongs to a longer command, or to a document or a text in the script, is left to the user.
    document = "<<" in text
    kept, continued = [], False
    quoted = _begin_in_quotes(text)
    for number, line in enumerate(lines):
        content = line.rstrip("\r\n")
        of_another = document or continued or number in quoted
        if of_another or not any(pattern.fullmatch(content) for pattern in _ACTIVATION):
            kept.append(line)
        continued = bool(_CONTINUES.search(content))
    return {
        "text": "".join(kept),
        "removed": len(lines) - len(kept),
        "related": rc_local_lines("".join(kept)),
    }


def _begin_in_quotes(text: str) -> set[int]:
    """
    Return the numbers, from 0, of the lines of a shell script that begin inside a text, or a list, of an earlier line.

    All do where that cannot be told: a text does not end, or there are commands within it.
    """
    found: set[int] = set()
    for part in _PART.finditer(text):
        kind = part.lastgroup
        if kind == "open" or (kind == "text" and re.search(r"\$\(|`", part[0])):
            return {*range(text.count("\n") + 1)}
        if kind:
            first = text.count("\n", 0, part.start())
            found.update(range(first + 1, first + part[0].count("\n") + 1))
    return found


def rc_local_lines(text: str) -> list[int]:
    """
    Return the numbers of the lines that mount the configuration or start Postfix, however they do it.

    text : str
        The text of ``/rw/config/rc.local``.
    """
    return [number for number, line in enumerate(text.split("\n"), 1) if _RELATED.match(line)]


def parameters(main_cf: str) -> dict[str, str]:
    """
    Return the parameters of a main.cf, whoever wrote it.

    main_cf : str
        The text of a main.cf.
    """
    pairs = (line.partition("=") for line in _logical_lines(main_cf) if "=" in line)
    return {name.strip(): " ".join(value.split()) for name, _, value in pairs}


def services(master_cf: str) -> set[str]:
    """
    Return the services of a master.cf as ``name/type``.

    master_cf : str
        The text of a master.cf.
    """
    rows = (line.split() for line in _logical_lines(master_cf))
    return {f"{row[0]}/{row[1]}" for row in rows if len(row) > 7}


def _logical_lines(text: str) -> list[str]:
    """Join lines that begin with white space to the one before, and drop comments and empty lines."""
    lines: list[str] = []
    for line in text.split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and lines:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.strip())
    return lines


def not_carried_over(old: dict[str, str], new: dict[str, str]) -> dict[str, list[str]]:
    """
    Name what a configuration made by hand says and the new one does not.

    old : dict
        The texts of ``main.cf``, ``master.cf`` and ``sender_relay`` (without those that are not there).
    new : dict
        The same of the new configuration.

    Returns names, sorted: ``parameters`` of main.cf that the recipe does not set, ``services`` of master.cf as
    ``name/type`` that no system ships, and ``senders`` that had a relay.
    """
    before, after = (parameters(texts.get("main.cf", "")) for texts in (old, new))
    started, starts = (services(texts.get("master.cf", "")) for texts in (old, new))
    senders, remain = (_keys(texts.get("sender_relay", "")) for texts in (old, new))
    return {
        "parameters": sorted(
            name for name, value in before.items() if name not in _RECIPE and after.get(name) != value
        ),
        "services": sorted(started - starts - {*_SHIPPED}),
        "senders": sorted(senders - remain),
    }


def _keys(table: str) -> set[str]:
    return {line.split()[0].lower() for line in _logical_lines(table)}
