# SPDX-License-Identifier: Apache-2.0
"""
What fetchmail(1) is told, and what the service is told that runs it: ``smarthost_fetch``.

Pure functions. Sources: fetchmail(1) of 6.4 and 6.6; rcfile_l.l (escapes) on how a text is written.
"""

from __future__ import annotations

import json
import re
from typing import Any

from smarthost_oauth import PORTS, XOAUTH2, addresses

# What the service reads: the accounts that are fetched, without a secret.
FACTS = "fetch.json"
FETCHMAILRC = "fetchmailrc"
# A long session over POP3 is cut into parts: only at the end of each, deletions count and what is kept is noted.
_AT_ONCE = 50
# In seconds: how long a server may be silent.
_TIMEOUT = 60
_CLEAR = 'sslproto ""'


def fetched(record: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Return the accounts whose mail is fetched.

    record : dict
        The regular shape of the pillar, from ``smarthost_pillar.check``.
    """
    return [account for account in record["accounts"] if account["fetch"]]


def by_tunnel(fetch: dict[str, Any]) -> bool:
    """
    Tell whether the program of the formula makes the connection: fetchmail knows pins as MD5 only.

    fetch : dict
        How an account is fetched, in its regular shape.
    """
    return bool(fetch["fingerprints"] or fetch["ca"])


def fetchmailrc(record: dict[str, Any], ca_file: str, command: str) -> str:
    """
    Return the run control file, which holds the passwords.

    record : dict
        The regular shape of the pillar, from ``smarthost_pillar.check``.
    ca_file : str
        The system's file of CA certificates.
    command : str
        The path of the program ``postfix-smarthost``.
    """
    # What Postfix refuses stays at the server; nothing is bounced to a sender, who is often not who it says.
    lines = [
        "set no bouncemail",
        "set no spambounce",
        "set softbounce",
        f"set postmaster {_text(record['user'])}",
    ]
    listens = addresses(record["accounts"])
    for account in fetched(record):
        listen = listens.get(account["address"].lower(), "")
        lines += ["", *_poll(account, record["user"], ca_file, command, listen)]
    return "\n".join(lines) + "\n"


def _poll(account: dict[str, Any], user: str, ca_file: str, command: str, listen: str) -> list[str]:
    fetch = account["fetch"]
    server, port, password = fetch["server"], fetch["port"], fetch["password"]
    if listen:
        # The proxy has logged in with a token by the time that it greets; over POP3 it is told a password nevertheless.
        server, port, password = listen, PORTS[fetch["protocol"]], "none"
    lines = [
        f"poll {_text(account['address'].lower())} via {_text(server)}",
        f"  protocol {fetch['protocol']} service {_text(str(port))} timeout {_TIMEOUT} auth password"
        # What is kept at a POP3 server is known by its ID there.
        + (" uidl" if fetch["protocol"] == "pop3" and fetch["keep"] else ""),
    ]
    if by_tunnel(fetch) and not listen:
        lines.append(f"  plugin {_text(' '.join((command, 'tunnel', account['address'].lower())))}")
    lines += [
        f"  username {_text(fetch['username'])} password {_text(password)} is {_text(user)} here",
        f"  {_CLEAR if listen else _tls(fetch, ca_file)}",
        '  smtphost "localhost" no rewrite ' + ("keep" if fetch["keep"] else "no keep"),
    ]
    if fetch["protocol"] == "pop3":
        lines.append(f"  {'' if fetch['keep'] else 'fetchall '}fetchlimit {_AT_ONCE}")
    else:
        # That one of them is told at once of new mail, the service says: fetchmail refuses it where there are others.
        lines.append("  folder " + ", ".join(map(_text, fetch["folders"])))
    return lines


def _tls(fetch: dict[str, Any], ca_file: str) -> str:
    if fetch["tls_mode"] == "none" or by_tunnel(fetch):
        # Within the qube. What else there was to say, 6.6 does not know.
        return _CLEAR
    begins = "ssl " if fetch["tls_mode"] == "implicit" else "no ssl "
    return f'{begins}sslproto "TLS1.2+" sslcertck sslcertfile {_text(ca_file)}'


def facts(record: dict[str, Any]) -> str:
    """
    Return what the service has to know of each account, as JSON without a secret.

    record : dict
        The regular shape of the pillar, from ``smarthost_pillar.check``.
    """
    known = {
        account["address"].lower(): {
            **{key: account["fetch"][key] for key in ("server", "port", "protocol", "tls_mode", "interval")},
            "relay": account["relay"],
            "idle": len(account["fetch"]["folders"]) == 1,
            "fingerprints": account["fetch"]["fingerprints"],
            "ca": account["fetch"]["ca"],
            "by_token": account["auth"] == XOAUTH2,
        }
        for account in fetched(record)
    }
    return json.dumps(known, indent=2) + "\n"


def _text(text: str) -> str:
    """Return a text as fetchmail reads it again, whatever is in it."""
    data = text.encode("utf-8")
    return (
        '"' + re.sub(rb"[^A-Za-z0-9@._/ -]", lambda part: b"\\x%02x" % part[0][0], data).decode("ascii") + '"'
    )
