# SPDX-License-Identifier: Apache-2.0
"""
What an account with ``auth: xoauth2`` is: who gives its tokens, and what the proxy that logs in is told.

Pure functions. smtp(8) hands the mail of such an account to an address of loopback that is this account's alone, where
``smarthost_oauth_proxy`` listens.

Sources: learn.microsoft.com, identity-platform/v2-oauth2-auth-code-flow and v2-oauth2-device-code, and
exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth;
developers.google.com/identity/protocols/oauth2/native-app and developers.google.com/gmail/imap/xoauth2-protocol.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Iterable
from typing import Any

XOAUTH2 = "xoauth2"
# Among the files of the tables: what the proxy reads. It may hold client secrets.
FACTS = "xoauth2"
# Ports below 1024 are root's: nobody else can be there while the proxy is not.
SUBMISSION = 587
PORTS = {"imap": 143, "pop3": 110}
# The addresses are 127.64.0.1 to 127.191.255.254.
_FIRST, _NETS, _HOSTS = 64, 128 * 256, 254

_MICROSOFT = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0"
_OUTLOOK = "https://outlook.office.com"
# Google's device flow does not give this scope (developers.google.com/identity/protocols/oauth2/limited-input-device).
_PROVIDERS: dict[str, dict[str, str]] = {
    "google": {
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "device_endpoint": "",
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "scope": "https://mail.google.com/",
    },
    "microsoft": {
        "token_endpoint": f"{_MICROSOFT}/token",
        "device_endpoint": f"{_MICROSOFT}/devicecode",
        "authorization_endpoint": f"{_MICROSOFT}/authorize",
        "scope": f"offline_access {_OUTLOOK}/SMTP.Send",
    },
}
_FETCH_SCOPES = {"imap": f" {_OUTLOOK}/IMAP.AccessAsUser.All", "pop3": f" {_OUTLOOK}/POP.AccessAsUser.All"}
PROVIDERS = tuple(_PROVIDERS)
ENDPOINTS = ("token_endpoint", "device_endpoint", "authorization_endpoint", "scope")
TENANT = "common"
# By the host names of their servers.
_OF_RELAYS = {
    "smtp.gmail.com": "google",
    "smtp.office365.com": "microsoft",
    "smtp-mail.outlook.com": "microsoft",
}


def provider_of(relay: str) -> str:
    """
    Return which provider gives the tokens for a relay, "" where that is not known.

    relay : str
        Its host name, in lower case.
    """
    return _OF_RELAYS.get(relay.lower(), "")


def endpoints(provider: str, tenant: str, protocol: str) -> dict[str, str]:
    """
    Return where a provider gives tokens, and for what.

    provider : str
        One of ``PROVIDERS``.
    tenant : str
        That of Microsoft's directory in which the user is.
    protocol : str
        ``imap`` or ``pop3`` where mail is fetched, too; "" where it is not.
    """
    found = {name: text.format(tenant=tenant) for name, text in _PROVIDERS[provider].items()}
    if provider == "microsoft":
        found["scope"] += _FETCH_SCOPES.get(protocol, "")
    return found


def by_xoauth2(accounts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Return the accounts that log in so.

    accounts : iterable
        Of the record.
    """
    return [account for account in accounts if account["auth"] == XOAUTH2]


def addresses(accounts: Iterable[dict[str, Any]]) -> dict[str, str]:
    """
    Return the address of loopback of each account that logs in by XOAUTH2, by the mail address in lower case.

    accounts : iterable
        Of the record.

    It follows from the mail address alone, so that no other account gets it when one goes: what smtp(8) holds in this
    moment would leave by that one.
    """
    found: dict[str, str] = {}
    taken: set[int] = set()
    for account in by_xoauth2(accounts):
        address = account["address"].lower()
        number = int.from_bytes(hashlib.sha256(address.encode()).digest()[:8], "big")
        number %= _NETS * _HOSTS
        while number in taken:
            number = (number + 1) % (_NETS * _HOSTS)
        taken.add(number)
        net, host = divmod(number, _HOSTS)
        found[address] = f"127.{_FIRST + net // 256}.{net % 256}.{host + 1}"
    return found


def token_hosts(account: dict[str, Any]) -> list[tuple[str, int]]:
    """
    Return host and port of each endpoint that the qube asks for tokens of an account.

    account : dict
        Of the record.
    """
    urls = (account["oauth"].get(name) for name in ("token_endpoint", "device_endpoint"))
    parts = [urllib.parse.urlsplit(url) for url in urls if url]
    return list(dict.fromkeys(((part.hostname or "").lower(), part.port or 443) for part in parts))


def facts(accounts: list[dict[str, Any]]) -> str:
    """
    Return what the proxy has to know of each account, as JSON; it holds the client secrets.

    accounts : list
        Of the record.
    """
    listens = addresses(accounts)
    known = {}
    for account in by_xoauth2(accounts):
        fetch, address = account["fetch"], account["address"].lower()
        known[address] = {
            "listen": listens[address],
            "username": account["username"],
            "tokens": tokens_name(account),
            **account["oauth"],
            "servers": {
                "smtp": _server(account["relay"], account),
                **({fetch["protocol"]: _server(fetch["server"], fetch)} if fetch else {}),
            },
        }
    return json.dumps(known, indent=2) + "\n"


def _server(host: str, how: dict[str, Any]) -> dict[str, Any]:
    return {"server": host, **{key: how[key] for key in ("port", "tls_mode", "fingerprints", "ca")}}


def tokens_name(account: dict[str, Any]) -> str:
    """
    Return the name of the file with the tokens of an account: others, if what they are for is another.

    account : dict
        Of the record.
    """
    oauth = account["oauth"]
    what = (account["username"], oauth["client_id"], oauth["token_endpoint"], oauth["scope"])
    return hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]
