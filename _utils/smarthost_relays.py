# SPDX-License-Identifier: Apache-2.0
"""
How relays are reached, verified and logged in to, as parameters and tables of smtp(8).

Pure functions.

Sources: TLS_README, SASL_README, postconf(5) and src/smtp of Postfix 3.7 to 3.12; RFC 6066 3 on server names,
RFC 8689 on TLS-Required.
"""

from __future__ import annotations

from typing import Any

from smarthost_names import is_ip_address
from smarthost_oauth import SUBMISSION, addresses
from smarthost_services import transport

# More accounts than that at one relay share their next hops: each has as many processes as the concurrency is, which a
# relay that hangs has all of, and there are default_process_limit.
NEXT_HOPS = 10
# What may send a password. All else that a relay offers or a template has installed is for other accounts: a SASL
# plugin that takes XOAUTH2 for one with a password fails. DIGEST-MD5 and NTLM are too weak; -PLUS needs what Postfix
# does not hand on.
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", *(f"SCRAM-SHA-{size}" for size in (1, 224, 256, 384, 512)))

# Trouble with the relay waits. What smtp(8) itself says of it: no such name or address (5.4.4, 5.4.3), an address of
# this qube (5.4.6), a system that cannot look up (5.3.0), nonsense in place of an answer (5.5.0). What the relay says
# that is about nobody's message: that it does not talk, or that one is not logged in, or no longer (RFC 4954 6). What
# it says of a message or a recipient is final.
STATUS_FILTER = """\
/^5(\\.[0-9]+\\.[0-9]+ host [^ ]+ refused to talk to me: .*)/ 4$1
/^5(\\.[0-9]+\\.[0-9]+ (Protocol error: )?host [^ ]+ said: ([^5]|53[0458][ -]).*)/ 4$1
if !/^5\\.[0-9]+\\.[0-9]+ host [^ ]+ said: /
/^5(\\.(3\\.0|4\\.[346]|5\\.0) .*)/ 4$1
endif
"""


def relay_parameters() -> dict[str, str]:
    """Return the parameters of main.cf that are the same for all relays, and name no file."""
    return {
        "smtp_sasl_auth_enable": "yes",
        "smtp_sender_dependent_authentication": "yes",
        "smtp_sasl_security_options": "noanonymous, noplaintext",
        "smtp_sasl_tls_security_options": "noanonymous",
        "smtp_sasl_mechanism_filter": ", ".join(MECHANISMS).lower(),
        "smtp_tls_security_level": "secure",
        "smtp_tls_secure_cert_match": "nexthop",
        "smtp_tls_fingerprint_digest": "sha256",
        "smtp_tls_mandatory_protocols": ">=TLSv1.2",
        "smtp_tls_loglevel": "1",
        "smtp_tls_connection_reuse": "yes",
        # Else a header of a message, "TLS-Required: no", turns the verification of its relay off.
        "tls_required_enable": "no",
        # A relay that offers DSN would be told the recipient as it was before rewriting, which may name this qube.
        # The other word in it is for Postfix before 3.10, to which a parameter that nothing refers to is a mistake.
        "smtp_discard_ehlo_keywords": "dsn, silent-discard${tls_required_enable?}",
        # Many of an account's messages fail at a time, or wait for a relay that hangs; each relay of use is served
        # as fast by two.
        "default_destination_concurrency_limit": "2",
        "initial_destination_concurrency": "2",
    }


def protocols(accounts: list[dict[str, Any]], *, ipv6: bool) -> dict[str, str]:
    """
    Return the parameters that choose between IPv4 and IPv6.

    accounts : list
        Of the record.
    ipv6 : bool
        Whether the qube has an address of IPv6 beyond itself.
    """
    if not (ipv6 or any(":" in account["relay"] for account in accounts)):
        return {"inet_protocols": "ipv4"}
    # A network may have names and addresses of IPv6 and yet not carry it.
    return {"inet_protocols": "all", "smtp_address_preference": "ipv4"}


def nexthops(accounts: list[dict[str, Any]]) -> list[str]:
    """
    Return the next hop of each account, in order: ``[relay]:port``.

    accounts : list
        Of the record.

    The brackets suppress the look-up of a mail exchanger. Zeros before the port keep apart what several accounts have
    at one relay: to qmgr(8), which stops trying a destination after some failures, a next hop is a destination. So one
    whose password is wrong, or whose mail is not taken at the moment, does not hold the others up.
    """
    seen: dict[tuple[str, int], int] = {}
    hops = []
    for account in accounts:
        place = (account["relay"], account["port"])
        hops.append(f"[{account['relay']}]:{'0' * (seen.get(place, 0) % NEXT_HOPS)}{account['port']}")
        seen[place] = seen.get(place, 0) + 1
    return hops


def without_zeros(way: str) -> str:
    """
    Return a transport and next hop as it would be for the first account at its relay.

    way : str
        A value of ``routes``.
    """
    relay, colon, port = way.rpartition(":")
    return relay + colon + port.lstrip("0")


def routes(accounts: list[dict[str, Any]]) -> dict[str, str]:
    """
    Return the transport and next hop of each sender.

    accounts : list
        Of the record.
    """
    proxies = addresses(accounts)
    hops = [
        f"[{proxy}]:{SUBMISSION}" if (proxy := proxies.get(account["address"].lower())) else hop
        for account, hop in zip(accounts, nexthops(accounts), strict=True)
    ]
    return {
        sender: f"{transport(account)}:{hop}"
        for account, hop in zip(accounts, hops, strict=True)
        for sender in account["senders"]
    }


def logins(accounts: list[dict[str, Any]]) -> dict[str, str]:
    """
    Return the login of each sender; one whose account logs in nowhere has none.

    accounts : list
        Of the record.

    Returns user names with passwords.
    """
    return {
        sender: f"{account['username']}:{account['password']}"
        for account in accounts
        if account["auth"] == "password"
        for sender in account["senders"]
    }


def tls_policy(accounts: list[dict[str, Any]], directory: str) -> dict[str, str]:
    """
    Return how each next hop is verified.

    accounts : list
        Of the record.
    directory : str
        Where the files of ``ca_files`` are while Postfix runs.
    """
    return {
        hop: _policy(account, f"{directory}/{name}")
        for account, hop, name in zip(accounts, nexthops(accounts), _ca_names(accounts), strict=True)
        if account["tls_mode"] != "none"
    }


def ca_files(accounts: list[dict[str, Any]]) -> dict[str, str]:
    """
    Return the files with certificates of private CAs, by their names.

    accounts : list
        Of the record.
    """
    names = _ca_names(accounts)
    return {name: account["ca"] for account, name in zip(accounts, names, strict=True) if account["ca"]}


def _ca_names(accounts: list[dict[str, Any]]) -> list[str]:
    return [f"ca-{number}.pem" for number, _ in enumerate(accounts, 1)]


def _policy(account: dict[str, Any], ca_file: str) -> str:
    words = ["secure"]
    if account["fingerprints"]:
        words = ["fingerprint", "match=" + "|".join(account["fingerprints"])]
    elif account["ca"]:
        # With it, the system's CAs vouch for nothing here (smtp_tls_trust_anchor_file in postconf(5)).
        words.append(f"tafile={ca_file}")
    if not is_ip_address(account["relay"]):
        # smtp_tls_servername would send an address, too, which is no name.
        words.append(f"servername={account['relay']}")
    return " ".join(words)
