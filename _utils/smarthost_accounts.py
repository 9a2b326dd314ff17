# SPDX-License-Identifier: Apache-2.0
"""
Check the accounts of a record, and bring them into their regular shape.

Pure functions. What each key takes by itself, ``smarthost_account_keys`` declares; here are the rules between keys.
"""

from __future__ import annotations

from typing import Any

import smarthost_providers
from smarthost_account_keys import (
    ACCOUNT,
    CLEAR_PORTS,
    DEFAULT_PORT,
    FETCH,
    IMPLICIT_PORTS,
    IMPLICIT_TLS_PORT,
    INBOX,
    OAUTH,
    PROTOCOLS,
    TLS,
)
from smarthost_keys import Key, names
from smarthost_names import is_ip_address, is_loopback
from smarthost_oauth import ENDPOINTS, XOAUTH2, endpoints, provider_of
from smarthost_reading import Reading


class AccountsReading(Reading):
    """The reading of the accounts of one record."""

    def accounts(self, value: object) -> list[dict[str, Any]]:
        """Return the accounts in their regular shape, the default one first, each with its ``where`` for sentences."""
        if not isinstance(value, list) or not value:
            self.tell("accounts must be a list with at least one account (each item begins with a dash)")
            return []
        accounts = [self._account(item, number) for number, item in enumerate(value, 1)]
        whole = [account for account in accounts if account]
        self._one_default(whole)
        self._each_sender_once(whole)
        self._one_policy_per_relay(whole)
        self._each_mailbox_once(whole)
        return sorted(whole, key=lambda account: not account["default"])

    def _account(self, item: object, number: int) -> dict[str, Any] | None:
        where = f"Account {number}"
        if not isinstance(item, dict):
            self.tell(f"{where} must be a mapping with address and password")
            return None
        keys = {key.name: key for key in ACCOUNT}
        address = self.value(item, keys["address"], f"{where}: ", "")
        if address:
            where += f" ({address})"
        self.unknown_keys(item, ACCOUNT, where)
        read = {
            name: self.value(item, key, f"{where}: ", key.absent)
            for name, key in keys.items()
            if name not in ("address", "password", "password_base64", "tls", "fetch", "oauth")
        }
        tls = self._tls(item.get("tls", {}), where)
        way = self._way(item, read, tls, address, where)
        logs_in = read["auth"] == "password"
        if read["auth"] == "none" and {"password", "password_base64", "username"} & {*item}:
            self.tell(f"{where}: auth: none logs in nowhere: leave out username and password, or auth")
        account = {
            "address": address,
            "where": where,
            **way,
            "auth": read["auth"],
            "username": "" if read["auth"] == "none" else way["username"],
            "password": self._password(item, keys, where) if logs_in else "",
            "senders": [sender.lower() for sender in (address, *read["senders"]) if sender],
            "fingerprints": tls["fingerprint"],
            "ca": tls["ca"],
            "default": read["default"],
            "folder": read["folder"],
        }
        account["fetch"] = self._fetch(item.get("fetch", False), account, where)
        return {**account, "oauth": self._oauth(item, account, where)}

    def _oauth(self, item: dict, account: dict[str, Any], where: str) -> dict[str, str]:
        """Return who gives the tokens of an account and for what, {} if it logs in with none."""
        if account["auth"] != XOAUTH2:
            if "oauth" in item:
                self.tell(f"{where}: oauth goes with auth: {XOAUTH2}: leave it out, or give that")
            return {}
        if {"password", "password_base64"} & {*item}:
            self.tell(f"{where}: auth: {XOAUTH2} logs in without a password: leave it out, or auth")
        if account["tls_mode"] == "none":
            self.tell(f"{where}: auth: {XOAUTH2} needs TLS: leave out tls: mode none")
        where += ": oauth"
        value = item.get("oauth")
        if not isinstance(value, dict) or "client_id" not in value:
            self.tell(
                f"{where} must be a mapping with the client_id that you have registered (docs/oauth.md)"
            )
            return {}
        self.unknown_keys(value, OAUTH, where)
        read = {key.name: self.value(value, key, f"{where}: ", key.absent) for key in OAUTH}
        if "provider" in value and not read["provider"]:
            return {}
        return self._tokens(value, read, account, where)

    def _tokens(
        self, value: dict, read: dict[str, Any], account: dict[str, Any], where: str
    ) -> dict[str, str]:
        """Return where the tokens come from, and for what: what is given goes before what is known."""
        own = {name: read[name] for name in ENDPOINTS if name in value}
        provider = read["provider"] or ("" if "token_endpoint" in value else provider_of(account["relay"]))
        if provider:
            protocol = account["fetch"].get("protocol", "")
            own = {**endpoints(provider, read["tenant"] or "", protocol), **own}
        elif "tenant" in value:
            self.tell(f"{where}: tenant is Microsoft's: leave it out, or give provider: microsoft")
        if not provider and account["relay"] and not {"token_endpoint", "scope"} <= {*own}:
            self.tell(
                f"{where}: who gives the tokens for {account['relay']} is not known here: give provider, or"
                " token_endpoint and scope"
            )
        elif not own.get("device_endpoint") and not own.get("authorization_endpoint") and not provider:
            self.tell(f"{where}: device_endpoint or authorization_endpoint must be given")
        return {name: read[name] or "" for name in ("client_id", "client_secret")} | {
            name: own.get(name) or "" for name in ENDPOINTS
        }

    def _tls(self, value: object, where: str) -> dict[str, Any]:
        where += ": tls"
        if not isinstance(value, dict):
            *most, last = names(TLS)
            self.tell(f"{where} must be a mapping with {', '.join(most)} or {last}")
            value = {}
        self.unknown_keys(value, TLS, where)
        if value.get("mode") == "none" and {"ca", "fingerprint"} & {*value}:
            self.tell(
                f"{where}: mode none has no certificate to verify: leave out ca and fingerprint, or mode"
            )
        elif {"ca", "fingerprint"} <= {*value}:
            self.tell(f"{where} has ca and fingerprint: keep one, which alone then decides")
        return {key.name: self.value(value, key, f"{where}: ", key.absent) for key in TLS}

    def _way(self, item: dict, read: dict, tls: dict, address: str, where: str) -> dict[str, Any]:
        """Find what leads to the relay: relay, port, TLS mode and user name, and which of them follow the provider."""
        provider = None
        if "relay" not in item and address:
            provider = self._provider(address, where)
        relay = read["relay"] or (provider.relay if provider else "")
        if "relay" in item:
            relay = self._verified(relay, "relay", tls["mode"], tls["fingerprint"], where)
        why = smarthost_providers.refuses_passwords(relay, provider is not None)
        if why and read["auth"] == "password":
            self.tell(f"{where}: {why}")
        port = read["port"] or (provider.port if provider else DEFAULT_PORT)
        usual = "implicit" if port == IMPLICIT_TLS_PORT else "starttls"
        if provider and port == provider.port:
            usual = provider.tls_mode
        username = read["username"]
        if "username" not in item:
            username = _username(address, provider.username) if provider else address
            if address and not username:
                self.tell(f"{where}: username must be given: for {relay} it is not the address")
        given = {
            "relay": item,
            "port": item,
            "tls:mode": {"tls:mode": 1} if tls["mode"] else {},
            "username": item,
        }
        return {
            "relay": relay,
            "port": port,
            "username": username or "",
            "tls_mode": tls["mode"] or usual,
            "derived": [key for key, place in given.items() if provider and key not in place],
        }

    def _verified(self, host: str, key: str, mode: str | None, fingerprints: list[str], where: str) -> str:
        """Return a host that can be known for what it is, "" for another one."""
        if mode == "none":
            if is_loopback(host):
                return host
            self.tell(
                f"{where}: tls: mode none is for a program in this qube only, with 127.0.0.1, ::1 or localhost for"
                f" {key}: anywhere else the password and the mail would be in clear text"
            )
        elif is_ip_address(host) and not fingerprints:
            self.tell(
                f"{where}: {key} is an IP address, which no certificate can prove: give the host name, or pin the"
                " certificate with tls: {fingerprint: [...]}"
            )
        else:
            return host
        return ""

    def _fetch(self, value: object, account: dict[str, Any], where: str) -> dict[str, Any]:
        """Return how the mail of an account is fetched, {} if it is not."""
        where += ": fetch"
        if value is False or value is None:
            return {}
        if value is not True and not isinstance(value, dict):
            self.tell(f"{where} must be true, or a mapping such as {{server: imap.example.com}}")
            return {}
        item = {} if value is True else value
        self.unknown_keys(item, FETCH, where)
        keys = {key.name: key for key in FETCH}
        read = {
            name: self.value(item, key, f"{where}: ", key.absent)
            for name, key in keys.items()
            if name not in ("password", "password_base64", "tls")
        }
        known = None if "server" in item else self._fetched(read, account, where)
        server = read["server"] or (known.host if known else "")
        if "tls" in item or server != account["relay"]:
            tls = self._tls(item.get("tls", {}), where)
        else:
            # What vouches for a host at one port does so at another.
            mode = "none" if account["tls_mode"] == "none" else None
            tls = {"fingerprint": account["fingerprints"], "ca": account["ca"], "mode": mode}
        if "server" in item:
            server = self._verified(server, "server", tls["mode"], tls["fingerprint"], where)
        protocol = known.protocol if known else read["protocol"] or PROTOCOLS[0]
        if read["folders"] and protocol == "pop3":
            self.tell(f"{where}: folders is for IMAP: a POP3 server has one mailbox, so leave it out")
        by_token = account["auth"] == XOAUTH2
        if by_token and {"password", "password_base64", "username"} & {*item}:
            self.tell(
                f"{where}: with auth: {XOAUTH2} mail is fetched so, too: leave out username and password"
            )
        if not by_token and (why := smarthost_providers.has_no_password(server)):
            self.tell(f"{where}: {why}")
        mode = tls["mode"] or (known.tls_mode if known and read["port"] in (None, known.port) else None)
        mode = mode or ("starttls" if read["port"] in CLEAR_PORTS.values() else "implicit")
        usual = IMPLICIT_PORTS[protocol] if mode == "implicit" else CLEAR_PORTS[protocol]
        username = read["username"] or account["username"]
        if not username and "username" not in item and account["address"]:
            username = account["address"]
        return {
            "server": server,
            "protocol": protocol,
            "port": read["port"] or usual,
            "tls_mode": mode,
            "fingerprints": tls["fingerprint"],
            "ca": tls["ca"],
            "username": username or "",
            "password": "" if by_token else self._fetch_password(item, keys, account, where),
            "folders": read["folders"] or ([INBOX] if protocol == "imap" else []),
            "keep": read["keep"],
            "interval": read["interval"],
        }

    def _fetched(self, read: dict, account: dict[str, Any], where: str) -> smarthost_providers.Server | None:
        """Find the server of a provider, or ask for one."""
        domain = account["address"].rpartition("@")[2].lower()
        known = smarthost_providers.fetched(domain, account["relay"])
        wanted = read["protocol"]
        if known and wanted in (None, known.protocol):
            return known
        if account["relay"]:
            of = f" by {wanted.upper()}" if wanted else ""
            self.tell(
                f"{where}: server must be given: where mail of {account['relay']} is fetched{of} is not known here"
            )
        return None

    def _fetch_password(self, item: dict, keys: dict[str, Key], account: dict[str, Any], where: str) -> str:
        """Return its own password, else that of the account."""
        if {"password", "password_base64"} & {*item} or account["auth"] == "none":
            return self._password(item, keys, where)
        return account["password"]

    def _each_mailbox_once(self, accounts: list[dict[str, Any]]) -> None:
        seen: dict[tuple[Any, ...], str] = {}
        for account in accounts:
            fetch = account["fetch"]
            if not fetch.get("server"):
                continue
            for folder in fetch["folders"] or [""]:
                mailbox = (fetch["server"], fetch["username"], folder)
                if mailbox in seen:
                    self.tell(
                        f"{account['where']}: fetch: the same mailbox is fetched for {seen[mailbox]}: keep it in one"
                    )
                    break
                seen[mailbox] = account["where"]

    def _provider(self, address: str, where: str) -> smarthost_providers.Provider | None:
        """Find the provider of an address, or ask for the relay."""
        domain = address.rpartition("@")[2].lower()
        provider = smarthost_providers.providers().get(domain)
        if provider:
            return provider
        if why := smarthost_providers.no_relay(domain):
            self.tell(f"{where}: {why}")
            return None
        close = smarthost_providers.closest(domain)
        meant = f"did you mean {close}? Else give relay," if close else "give relay,"
        self.tell(
            f"{where}: {domain} is no provider that is known here: {meant} the host name of its submission server"
        )
        return None

    def _password(self, item: dict, keys: dict[str, Key], where: str) -> str:
        there = [name for name in ("password", "password_base64") if name in item]
        if len(there) != 1:
            few = "has two passwords: keep" if there else "has no password: give"
            self.tell(f"{where} {few} password or password_base64")
            return ""
        return self.value(item, keys[there[0]], f"{where}: ", "")

    def _one_default(self, accounts: list[dict[str, Any]]) -> None:
        chosen = [account["where"] for account in accounts if account["default"]]
        if len(chosen) > 1:
            self.tell(f"{' and '.join(chosen)} are each the default: keep default: true in one of them")

    def _each_sender_once(self, accounts: list[dict[str, Any]]) -> None:
        seen: dict[str, str] = {}
        for account in accounts:
            for sender in account["senders"]:
                if sender in seen:
                    self.tell(
                        f"{account['where']}: {sender} stands already in {seen[sender]}: keep it in one account"
                    )
                seen.setdefault(sender, account["where"])

    def _one_policy_per_relay(self, accounts: list[dict[str, Any]]) -> None:
        seen: dict[tuple[str, int], dict[str, Any]] = {}
        for account in accounts:
            first = seen.setdefault((account["relay"], account["port"]), account)
            same = all(first[key] == account[key] for key in ("tls_mode", "ca"))
            if account["relay"] and not (same and {*first["fingerprints"]} == {*account["fingerprints"]}):
                self.tell(
                    f"{account['where']}: tls differs from {first['where']}, which uses the same relay and port"
                )


def _username(address: str, form: str) -> str:
    """Return the user name that a provider wants, an empty text where only the user knows it."""
    return {"address": address, "local-part": address.rpartition("@")[0]}.get(form, "")
