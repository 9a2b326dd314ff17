# SPDX-License-Identifier: Apache-2.0
"""
Check the ``postfix_smarthost`` pillar and bring it into one regular shape.

Pure functions: no file, no program and no Salt dunder is touched, so that the whole of the validation runs in
milliseconds and can be tried by hand. What each key takes by itself, ``smarthost_schema`` declares; here are the rules
between keys.

Sources: the syntax of the tables is that of postmap(1) and of ``smtp_sasl_password_maps`` in postconf(5).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import smarthost_lists
import smarthost_providers
from smarthost_manifest import claim
from smarthost_names import is_ip_address, is_loopback
from smarthost_readers import Wrong, discarded, unknown_key
from smarthost_relays import NEXT_HOPS
from smarthost_schema import (
    ACCOUNT,
    DEFAULT_PORT,
    IMPLICIT_TLS_PORT,
    LISTS,
    RECORD,
    TLS,
    Key,
    names,
)
from smarthost_settings import contradictions, too_many_at_once
from smarthost_submission import MESSAGE_SIZE_LIMIT

_NOT_ENABLED = (
    "dom0 gives this qube no pillar of postfix_smarthost; enable it there: sudo qubesctl top.enable postfix_smarthost"
    " pillar=True"
)


def of_qube(pillar: dict[str, Any]) -> Any:  # noqa: ANN401 - a pillar may hold anything
    """
    Return what a qube has under ``postfix_smarthost``, or in its place something that says why there is none.

    pillar : dict
        The whole pillar of the qube. Where there is no entry, dom0 says why; elsewhere than in Qubes OS there is no
        pillar ``qubes``.
    """
    record = pillar.get("postfix_smarthost")
    if record is not None or not isinstance(pillar.get("qubes"), dict):
        return record
    told = pillar.get("postfix_smarthost_missing") or pillar.get("postfix_smarthost_unlisted")
    return {"errors": [told if isinstance(told, str) else _NOT_ENABLED]}


def check(pillar: Any) -> tuple[dict[str, Any], list[str]]:  # noqa: ANN401 - a pillar may hold anything
    """
    Read a ``postfix_smarthost`` pillar.

    pillar : Any
        The value of the pillar key ``postfix_smarthost``, of any type.

    Returns the record in its regular shape, defaults filled in and passwords decoded, and the problems: ASCII sentences
    that name everything that is wrong, the account and the key, never a value. The record is to be used only when there
    are none. It has ``accounts`` (a list, the default account first; each with ``address``, ``relay``, ``port``,
    ``auth``, ``username``, ``password``, ``senders`` (the address first, lower case), ``folder``, ``tls_mode``,
    ``fingerprints``, ``ca`` and ``derived``, the keys that follow the provider), ``discard_senders``, ``disposables``,
    ``lists``, ``settings`` (strings), ``table_type``, ``user`` and so on. It holds passwords: do not print it.
    """
    reading = _Reading()
    return reading.record(pillar), reading.found


def problems(pillar: Any) -> list[str]:  # noqa: ANN401 - a pillar may hold anything
    """Return the problems of a pillar alone; see ``check``."""
    return check(pillar)[1]


def normalise(pillar: Any) -> dict[str, Any]:  # noqa: ANN401 - a pillar may hold anything
    """
    Return the record of a pillar alone; see ``check``.

    Raises ValueError with all problems, one to a line, when there are any.
    """
    record, found = check(pillar)
    if found:
        raise ValueError("\n".join(found))
    return record


class _Reading:
    """Collect the problems of one record while its regular shape is built."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def record(self, pillar: object) -> dict[str, Any]:
        """Return the regular shape, complete only if no problem was found."""
        if not isinstance(pillar, dict):
            self._tell(
                "There is no mail account for this qube: give it one under postfix_smarthost:accounts in its pillar"
                " (in dom0: an entry with the name of the qube in qubes.yaml)"
                if pillar is None
                else "postfix_smarthost must be a mapping with the key accounts"
            )
            return {}
        if "errors" in pillar:
            # What dom0's pillar could not read, in sentences of its own.
            told = pillar["errors"] if isinstance(pillar["errors"], list) else []
            self.found = [_sentence(error) for error in told if isinstance(error, str) and error.strip()] or [
                "The pillar of this qube could not be read: look at qubes.yaml in dom0."
            ]
            return {}
        self._unknown_keys(pillar, RECORD, "postfix_smarthost")
        # The first key of RECORD; what the others discard depends on it.
        accounts = self._accounts(pillar.get("accounts"))
        read = {}
        for key in RECORD[1:]:
            read[key.name] = self._value(pillar, key)
            if key.name == "discard_senders":
                read[key.name] = self._discard_senders(read[key.name] or [], accounts)
            elif key.name == "lists":
                read[key.name] = self._lists(read[key.name] or [], accounts)
        for told in contradictions(read["settings"] or {}, str(MESSAGE_SIZE_LIMIT)):
            self._tell(told)
        sharing = Counter((account["relay"], account["port"]) for account in accounts)
        at_one = min(max(sharing.values(), default=1), NEXT_HOPS)
        if told := too_many_at_once(read["settings"] or {}, at_one):
            self._tell(told)
        hidden = ("default", "where")
        return {
            "accounts": [{key: a[key] for key in a if key not in hidden} for a in accounts],
            **read,
        }

    # -- any mapping ------------------------------------------------------------------------------------

    def _tell(self, sentence: str) -> None:
        self.found.append(sentence + ".")

    def _value(self, mapping: dict, key: Key, where: str = "", otherwise: Any = None) -> Any:  # noqa: ANN401
        """
        Return the regular form of a key, otherwise that of one that is not there or is wrong.

        A key that is required is read even if it is not there, so that its reader asks for it.
        """
        if key.name not in mapping and key.default != "required":
            return key.absent
        try:
            return key.read(mapping.get(key.name))
        except Wrong as problem:
            for told in problem.args:
                begin = where + key.name if told[0] in " :" else where
                self._tell(begin + told)
            return otherwise

    def _unknown_keys(self, mapping: dict, keys: tuple[Key, ...], where: str) -> None:
        """Tell of keys that there are not, and show none: `{password, hunter}` and `{password:x}` are keys to YAML."""
        known = names(keys)
        for key in mapping:
            if key not in known:
                self._tell(f"{where} has {unknown_key(key, known)}")

    # -- accounts ---------------------------------------------------------------------------------------

    def _accounts(self, value: object) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not value:
            self._tell("accounts must be a list with at least one account (each item begins with a dash)")
            return []
        accounts = [self._account(item, number) for number, item in enumerate(value, 1)]
        whole = [account for account in accounts if account]
        self._one_default(whole)
        self._each_sender_once(whole)
        self._one_policy_per_relay(whole)
        return sorted(whole, key=lambda account: not account["default"])

    def _account(self, item: object, number: int) -> dict[str, Any] | None:
        where = f"Account {number}"
        if not isinstance(item, dict):
            self._tell(f"{where} must be a mapping with address and password")
            return None
        keys = {key.name: key for key in ACCOUNT}
        address = self._value(item, keys["address"], f"{where}: ", "")
        if address:
            where += f" ({address})"
        self._unknown_keys(item, ACCOUNT, where)
        read = {
            name: self._value(item, key, f"{where}: ", key.absent)
            for name, key in keys.items()
            if name not in ("address", "password", "password_base64", "tls")
        }
        tls = self._tls(item.get("tls", {}), where)
        way = self._way(item, read, tls, address, where)
        logs_in = read["auth"] == "password"
        if not logs_in and {"password", "password_base64", "username"} & {*item}:
            self._tell(f"{where}: auth: none logs in nowhere: leave out username and password, or auth")
        return {
            "address": address,
            "where": where,
            **way,
            "auth": read["auth"],
            "username": way["username"] if logs_in else "",
            "password": self._password(item, keys, where) if logs_in else "",
            "senders": [sender.lower() for sender in (address, *read["senders"]) if sender],
            "fingerprints": tls["fingerprint"],
            "ca": tls["ca"],
            "default": read["default"],
            "folder": read["folder"],
        }

    def _tls(self, value: object, where: str) -> dict[str, Any]:
        where += ": tls"
        if not isinstance(value, dict):
            *most, last = names(TLS)
            self._tell(f"{where} must be a mapping with {', '.join(most)} or {last}")
            value = {}
        self._unknown_keys(value, TLS, where)
        if value.get("mode") == "none" and {"ca", "fingerprint"} & {*value}:
            self._tell(
                f"{where}: mode none has no certificate to verify: leave out ca and fingerprint, or mode"
            )
        elif {"ca", "fingerprint"} <= {*value}:
            self._tell(f"{where} has ca and fingerprint: keep one, which alone then decides")
        return {key.name: self._value(value, key, f"{where}: ", key.absent) for key in TLS}

    def _way(self, item: dict, read: dict, tls: dict, address: str, where: str) -> dict[str, Any]:
        """Find what leads to the relay: relay, port, TLS mode and user name, and which of them follow the provider."""
        provider = None
        if "relay" not in item and address:
            provider = self._provider(address, where)
        relay = read["relay"] or (provider.relay if provider else "")
        if tls["mode"] == "none":
            if "relay" in item and not is_loopback(relay):
                self._tell(
                    f"{where}: tls: mode none is for a program in this qube only, with 127.0.0.1, ::1 or localhost for"
                    " relay: anywhere else the password and the mail would be in clear text"
                )
                relay = ""
        elif is_ip_address(relay) and not tls["fingerprint"]:
            self._tell(
                f"{where}: relay is an IP address, which no certificate can prove: give the host name, or pin the"
                " certificate with tls: {fingerprint: [...]}"
            )
            relay = ""
        why = smarthost_providers.refuses_passwords(relay, provider is not None)
        if why and read["auth"] == "password":
            self._tell(f"{where}: {why}")
        port = read["port"] or (provider.port if provider else DEFAULT_PORT)
        usual = "implicit" if port == IMPLICIT_TLS_PORT else "starttls"
        if provider and port == provider.port:
            usual = provider.tls_mode
        username = read["username"]
        if "username" not in item:
            username = _username(address, provider.username) if provider else address
            if address and not username:
                self._tell(f"{where}: username must be given: for {relay} it is not the address")
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

    def _provider(self, address: str, where: str) -> smarthost_providers.Provider | None:
        """Find the provider of an address, or ask for the relay."""
        domain = address.rpartition("@")[2].lower()
        provider = smarthost_providers.providers().get(domain)
        if provider:
            return provider
        if why := smarthost_providers.no_relay(domain):
            self._tell(f"{where}: {why}")
            return None
        close = smarthost_providers.closest(domain)
        meant = f"did you mean {close}? Else give relay," if close else "give relay,"
        self._tell(
            f"{where}: {domain} is no provider that is known here: {meant} the host name of its submission server"
        )
        return None

    def _password(self, item: dict, keys: dict[str, Key], where: str) -> str:
        there = [name for name in ("password", "password_base64") if name in item]
        if len(there) != 1:
            few = "has two passwords: keep" if there else "has no password: give"
            self._tell(f"{where} {few} password or password_base64")
            return ""
        return self._value(item, keys[there[0]], f"{where}: ", "")

    def _one_default(self, accounts: list[dict[str, Any]]) -> None:
        chosen = [account["where"] for account in accounts if account["default"]]
        if len(chosen) > 1:
            self._tell(f"{' and '.join(chosen)} are each the default: keep default: true in one of them")

    def _each_sender_once(self, accounts: list[dict[str, Any]]) -> None:
        seen: dict[str, str] = {}
        for account in accounts:
            for sender in account["senders"]:
                if sender in seen:
                    self._tell(
                        f"{account['where']}: {sender} stands already in {seen[sender]}: keep it in one account"
                    )
                seen.setdefault(sender, account["where"])

    def _one_policy_per_relay(self, accounts: list[dict[str, Any]]) -> None:
        seen: dict[tuple[str, int], dict[str, Any]] = {}
        for account in accounts:
            first = seen.setdefault((account["relay"], account["port"]), account)
            same = all(first[key] == account[key] for key in ("tls_mode", "ca"))
            if account["relay"] and not (same and {*first["fingerprints"]} == {*account["fingerprints"]}):
                self._tell(
                    f"{account['where']}: tls differs from {first['where']}, which uses the same relay and port"
                )

    # -- the rest of the record -------------------------------------------------------------------------

    def _discard_senders(self, items: list[Any], accounts: list[dict[str, Any]]) -> list[str]:
        own = {sender: account["where"] for account in accounts for sender in account["senders"]}
        found: dict[str, int] = {}
        for number, item in enumerate(items, 1):
            where = f"discard_senders: item {number}"
            try:
                name = discarded(item)
            except Wrong as problem:
                self._tell(where + problem.args[0])
                continue
            lost = [account for sender, account in own.items() if _is_inside(sender, name)]
            if lost:
                self._tell(
                    f"{where} would discard the mail of {lost[0]}: leave it out, or name what is below it"
                )
            elif name in found:
                self._tell(f"{where} repeats item {found[name]}: keep one")
            else:
                found[name] = number
        return list(found)

    def _lists(self, items: list[Any], accounts: list[dict[str, Any]]) -> list[dict[str, str]]:
        found: dict[tuple[str, str], tuple[int, dict[str, str]]] = {}
        for number, item in enumerate(items, 1):
            where = f"List {number}"
            if not isinstance(item, dict):
                self._tell(f"{where} must be a mapping with list_id and folder")
                continue
            self._unknown_keys(item, LISTS, where)
            if told := smarthost_lists.contradiction(item):
                self._tell(f"{where} {told}")
            keys = (key for key in LISTS if key.name in item or key.default == "required")
            read = {key.name: self._value(item, key, f"{where}: ", "") for key in keys}
            if read.get("sender"):
                read["sender"] = read["sender"].lower()
                if not claim(read["sender"], {known for account in accounts for known in account["senders"]}):
                    self._tell(f"{where}: sender is in no account: give an address of one")
            known_by = (read.get("list_id") or "", f"{read.get('header')}:{read.get('match')}".lower())
            first = found.setdefault(known_by if any(known_by) else (f" {number}", ""), (number, read))
            if first[0] != number and not told:
                what = "list_id" if "list_id" in read else "header with its match"
                self._tell(f"{where}: {what} stands already in List {first[0]}: keep one")
        return [read for _, read in found.values()]


def _username(address: str, form: str) -> str:
    """Return the user name that a provider wants, an empty text where only the user knows it."""
    return {"address": address, "local-part": address.rpartition("@")[0]}.get(form, "")


def _sentence(text: str) -> str:
    """Return what somebody else wrote as one line of ASCII with a full stop."""
    text = " ".join(text.encode("ascii", "backslashreplace").decode("ascii").split())
    return text if text.endswith(".") else text + "."


def _is_inside(sender: str, name: str) -> bool:
    """Tell whether access(5) applies a row for name (a domain or an address) to a sender, or to one of a domain."""
    if sender.startswith("@") and name.endswith(sender):
        return True
    return sender == name or ("@" not in name and f".{sender.rpartition('@')[2]}".endswith(f".{name}"))
