# SPDX-License-Identifier: Apache-2.0
"""
Check the ``postfix_smarthost`` pillar and bring it into one regular shape.

Pure functions: no file, no program and no Salt dunder is touched, so that the whole of the
validation runs in milliseconds and can be tried by hand.

Sources: the syntax of the tables is that of postmap(1) and of ``smtp_sasl_password_maps`` in postconf(5);
addresses are those of RFC 5321 4.1.2 without quoted strings; host names those of RFC 1123 2.1;
list identifiers those of RFC 2919.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Any

from smarthost_settings import TUNABLE, refused, setting_text

TABLE_TYPES = ("auto", "cdb", "hash", "lmdb", "texthash")
TLS_MODES = ("implicit", "starttls")
DEFAULT_PORT = 587
IMPLICIT_TLS_PORT = 465

_RECORD_KEYS = ("accounts", "discard_senders", "disposables", "lists", "settings", "table_type", "user")
_ACCOUNT_KEYS = (
    "address",
    "default",
    "password",
    "password_base64",
    "port",
    "relay",
    "senders",
    "tls",
    "username",
)
_TLS_KEYS = ("fingerprint", "mode")
_LIST_KEYS = ("folder", "list_id")

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Without re.ASCII, re.IGNORECASE takes some letters outside ASCII for these.
_IGNORE_CASE = re.IGNORECASE | re.ASCII
_HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}", _IGNORE_CASE)
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}", _IGNORE_CASE)
_ATOM = r"[a-z0-9!#$%&'*+/=?^_{|}~-]+"
# Not with a leading "-", an option, or "#", a comment in a table.
_LOCAL_PART = re.compile(rf"(?=.{{1,64}}\Z)(?![#-]){_ATOM}(?:\.{_ATOM})*", _IGNORE_CASE)
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){31}")
_LIST_ID = re.compile(r"(?=.{1,255}\Z)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*", _IGNORE_CASE)
_FOLDER_PART = r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*"
_FOLDER = re.compile(rf"(?=.{{1,200}}\Z){_FOLDER_PART}(?:/{_FOLDER_PART})*")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOCAL_DOMAINS = ("localdomain", "localhost")
_OWN_FOLDERS = {"cur", "new", "tmp"}
# Keys that are shown. Others may be a password that slipped there: without a blank, `{password:x}` is a key to YAML.
_KEY = re.compile(r"[A-Za-z_-]{1,40}")
_PARAMETER = re.compile(r"[A-Za-z0-9_-]{1,100}")


def problems(record: Any) -> list[str]:  # noqa: ANN401 - a pillar may hold anything
    """
    Name everything that is wrong with a ``postfix_smarthost`` pillar.

    record : Any
        The value of the pillar key ``postfix_smarthost``, of any type.

    Returns a list of ASCII sentences, empty when the pillar is good. A sentence names the account and the
    key, never a value.
    """
    return _Checker().check(record)[1]


def normalise(record: Any) -> dict[str, Any]:  # noqa: ANN401 - a pillar may hold anything
    """
    Return a ``postfix_smarthost`` pillar in its regular shape: defaults filled in, passwords decoded.

    record : Any
        The value of the pillar key ``postfix_smarthost``.

    Returns a dictionary with ``accounts`` (a list, the default account first; each with ``address``,
    ``relay``, ``port``, ``username``, ``password``, ``senders`` (the address first, lower case),
    ``tls_mode`` and ``fingerprints``), ``discard_senders``, ``disposables``, ``lists``, ``settings`` (strings),
    ``table_type`` and ``user``. It holds the passwords: it is for other modules, not for printing.

    Raises ValueError with all problems, one to a line, when there are any.
    """
    regular, found = _Checker().check(record)
    if found:
        raise ValueError("\n".join(found))
    return regular


class _Checker:
    """Collect the problems of one record while its regular shape is built."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def check(self, record: object) -> tuple[dict[str, Any], list[str]]:
        """Return the regular shape, complete only if the second part, the problems, is empty."""
        if not isinstance(record, dict):
            if record is None:
                self._add(
                    "There is no mail account for this qube: give it one under postfix_smarthost:accounts in its"
                    " pillar (in dom0: an entry with the name of the qube in qubes.yaml)"
                )
            else:
                self._add("postfix_smarthost must be a mapping with the key accounts")
            return {}, self.found
        if "errors" in record:
            # What dom0's pillar could not read, in sentences of its own.
            told = record["errors"] if isinstance(record["errors"], list) else []
            self.found = [_sentence(error) for error in told if isinstance(error, str) and error.strip()] or [
                "The pillar of this qube could not be read: look at qubes.yaml in dom0."
            ]
            return {}, self.found
        self._unknown_keys(record, _RECORD_KEYS, "postfix_smarthost")
        accounts = self._accounts(record.get("accounts"))
        regular = {
            "accounts": [
                {key: value for key, value in account.items() if key not in ("default", "where")}
                for account in accounts
            ],
            "discard_senders": self._discard_senders(record.get("discard_senders"), accounts),
            "disposables": self._flag(record, "disposables"),
            "lists": self._lists(record.get("lists")),
            "settings": self._settings(record.get("settings")),
            "table_type": self._choice(record, "table_type", TABLE_TYPES, "auto", "postfix_smarthost"),
            "user": self._user(record.get("user", "user")),
        }
        return regular, self.found

    def _add(self, sentence: str) -> None:
        self.found.append(sentence + ".")

    def _unknown_keys(self, mapping: dict, known: tuple[str, ...], where: str) -> None:
        for key in mapping:
            if key not in known:
                which = f" {key}" if isinstance(key, str) and _KEY.fullmatch(key) else ""
                self._add(f"{where} has an unknown key{which}: use {', '.join(known)}")

    def _choice(self, mapping: dict, key: str, choices: tuple[str, ...], default: str, where: str) -> str:
        value = mapping.get(key, default)
        if value in choices and isinstance(value, str):
            return value
        self._add(f"{where}: {key} must be one of {', '.join(choices)}")
        return default

    def _flag(self, mapping: dict, key: str) -> bool:
        value = mapping.get(key, False)
        if not isinstance(value, bool):
            self._add(f"postfix_smarthost: {key} must be true or false")
        return value is True

    def _listing(self, value: object, where: str) -> list:
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self._add(f"{where} must be a list")
        return []

    # -- accounts ---------------------------------------------------------------------------------------

    def _accounts(self, value: object) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not value:
            self._add("accounts must be a list with at least one account (each item begins with a dash)")
            return []
        accounts = [self._account(item, number) for number, item in enumerate(value, 1)]
        whole = [account for account in accounts if account]
        self._one_default(whole)
        self._each_sender_once(whole)
        self._one_policy_per_relay(whole)
        return sorted(whole, key=lambda account: not account["default"])

    def _account(self, item: object, number: int) -> dict[str, Any] | None:
        if not isinstance(item, dict):
            self._add(f"Account {number} must be a mapping with address, relay and password")
            return None
        where = f"Account {number}"
        address = self._address(item.get("address"), "address", where)
        if address:
            where += f" ({address})"
        self._unknown_keys(item, _ACCOUNT_KEYS, where)
        tls_mode, fingerprints, port = self._transport_security(item, where)
        default = item.get("default", False)
        if not isinstance(default, bool):
            self._add(f"{where}: default must be true or false")
        senders = [
            self._address(sender, f"sender {position}", where, whole=True)
            for position, sender in enumerate(self._listing(item.get("senders"), f"{where}: senders"), 1)
        ]
        return {
            "address": address,
            "where": where,
            "relay": self._relay(item.get("relay"), fingerprints, where),
            "port": port,
            "username": self._username(item, address, where),
            "password": self._password(item, where),
            "senders": [sender.lower() for sender in (address, *senders) if sender],
            "tls_mode": tls_mode,
            "fingerprints": fingerprints,
            "default": default is True,
        }

    def _address(self, value: object, key: str, where: str, whole: bool = False) -> str:
        """Return a mail address, or, if that may be, a whole domain as ``@example.com``."""
        if not isinstance(value, str) or not value:
            self._add(f"{where}: {key} must be a mail address like your.mail@example.com")
            return ""
        local, at, domain = value.rpartition("@")
        if at and not local and _DOMAIN.fullmatch(domain) and not whole:
            self._add(
                f"{where}: {key} is a whole domain: give one address here, and the domain under senders"
            )
        elif whole and local == "*":
            self._add(f"{where}: {key} has a star: write all addresses of a domain as @example.com")
        elif not value.isascii():
            self._add(
                f"{where}: {key} is not ASCII: write the domain in its xn-- form; a local part outside ASCII cannot"
                " be used"
            )
        elif not (
            (_LOCAL_PART.fullmatch(local) or (whole and at and not local))
            and _DOMAIN.fullmatch(domain)
            and len(value) <= 254
        ):
            self._add(f"{where}: {key} is not a mail address like your.mail@example.com")
        elif _is_local(domain):
            self._add(f"{where}: {key} is an address inside the qube: give the one at your provider")
        else:
            return value
        return ""

    def _relay(self, value: object, fingerprints: list[str], where: str) -> str:
        if not isinstance(value, str) or not value:
            self._add(f"{where}: relay must be the host name of the provider's submission server")
            return ""
        if _is_ip_address(value):
            if fingerprints:
                return value.lower()
            self._add(
                f"{where}: relay is an IP address, which no certificate can prove: give the host name, or pin the"
                " certificate with tls: {fingerprint: [...]}"
            )
        elif "[" in value or ":" in value:
            self._add(
                f"{where}: relay must be a bare host name like mail.example.com: the port goes into port"
            )
        elif not _HOST.fullmatch(value):
            self._add(f"{where}: relay is not a host name like mail.example.com")
        else:
            return value.lower()
        return ""

    def _transport_security(self, item: dict, where: str) -> tuple[str, list[str], int]:
        """Return the TLS mode, the pinned fingerprints and the port, which decides the default of the mode."""
        port = item.get("port", DEFAULT_PORT)
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            self._add(f"{where}: port must be a number from 1 to 65535 without quotes, usually 587 or 465")
            port = DEFAULT_PORT
        tls = item.get("tls", {})
        if not isinstance(tls, dict):
            self._add(f"{where}: tls must be a mapping with {' or '.join(_TLS_KEYS)}")
            tls = {}
        self._unknown_keys(tls, _TLS_KEYS, f"{where}: tls")
        usual = "implicit" if port == IMPLICIT_TLS_PORT else "starttls"
        mode = self._choice(tls, "mode", TLS_MODES, usual, f"{where}: tls")
        fingerprints = []
        for value in self._listing(tls.get("fingerprint"), f"{where}: tls: fingerprint"):
            fingerprint = value.upper() if isinstance(value, str) else ""
            if _FINGERPRINT.fullmatch(fingerprint):
                fingerprints.append(fingerprint)
            else:
                self._add(
                    f"{where}: tls: fingerprint must hold SHA-256 fingerprints, 32 pairs of hexadecimal digits with"
                    ' colons between them, in quotes ("AB:CD:...")'
                )
        if "fingerprint" in tls and tls["fingerprint"] in (None, []):
            self._add(f"{where}: tls: fingerprint is empty: give a SHA-256 fingerprint, or leave the key out")
        return mode, fingerprints, port

    def _username(self, item: dict, address: str, where: str) -> str:
        value = item.get("username", address)
        if not isinstance(value, str):
            self._add(f"{where}: username must be text: put it in quotes")
            return ""
        if value == "" and "username" in item:
            self._add(f"{where}: username is empty: leave the key out to use the address")
        elif ":" in value:
            self._add(f"{where}: username holds a colon, which Postfix takes for the end of the name")
        elif value != value.strip() or _CONTROL.search(value) or not _is_utf8(value):
            self._add(
                f"{where}: username must be UTF-8 without control characters and without white space at its ends"
            )
        return value

    def _password(self, item: dict, where: str) -> str:
        if ("password" in item) == ("password_base64" in item):
            few = (
                "has no password: give password"
                if "password" not in item
                else "has two passwords: keep password"
            )
            self._add(f"{where} {few} or password_base64")
            return ""
        # In the same words for both keys from here on: dom0's pillar turns one into the other.
        if "password" not in item:
            value = self._decoded(item["password_base64"], where)
        elif isinstance(item["password"], str):
            value = item["password"]
        else:
            value = None
            self._add(f"{where}: password is not text for YAML: put it in quotes")
        if value is None:
            return ""
        if value == "":
            self._add(f"{where}: the password is empty")
        elif not _is_utf8(value):
            self._add(f"{where}: the password is not UTF-8, which Postfix cannot hold")
        elif re.search(r"[\n\r\0]", value):
            self._add(f"{where}: the password holds a line break or a NUL byte, which Postfix cannot hold")
        elif value[-1] in " \t\v\f":
            self._add(
                f"{where}: the password ends with white space, which Postfix cannot hold: change it at the provider"
            )
        return value

    def _decoded(self, value: object, where: str) -> str | None:
        try:
            if not isinstance(value, str):
                raise ValueError
            # What is not UTF-8 stays recognisable, for the sentence on it.
            return base64.b64decode("".join(value.split()), validate=True).decode("utf-8", "surrogateescape")
        except (ValueError, binascii.Error):
            self._add(f"{where}: password_base64 is not valid base64")
        return None

    def _one_default(self, accounts: list[dict[str, Any]]) -> None:
        chosen = [account["where"] for account in accounts if account["default"]]
        if len(chosen) > 1:
            self._add(f"{' and '.join(chosen)} are each the default: keep default: true in one of them")

    def _each_sender_once(self, accounts: list[dict[str, Any]]) -> None:
        seen: dict[str, str] = {}
        for account in accounts:
            for sender in account["senders"]:
                if sender in seen:
                    self._add(
                        f"{account['where']}: {sender} stands already in {seen[sender]}: keep it in one account"
                    )
                seen.setdefault(sender, account["where"])

    def _one_policy_per_relay(self, accounts: list[dict[str, Any]]) -> None:
        seen: dict[tuple[str, int], dict[str, Any]] = {}
        for account in accounts:
            first = seen.setdefault((account["relay"], account["port"]), account)
            same = first["tls_mode"] == account["tls_mode"]
            if account["relay"] and not (same and {*first["fingerprints"]} == {*account["fingerprints"]}):
                self._add(
                    f"{account['where']}: tls differs from {first['where']}, which uses the same relay and port"
                )

    # -- the rest of the record -------------------------------------------------------------------------

    def _discard_senders(self, value: object, accounts: list[dict[str, Any]]) -> list[str]:
        own = {sender: account["where"] for account in accounts for sender in account["senders"]}
        discarded: dict[str, int] = {}
        for number, item in enumerate(self._listing(value, "discard_senders"), 1):
            where = f"discard_senders: item {number}"
            name = item.lower() if isinstance(item, str) else ""
            local, at, domain = name.rpartition("@")
            lost = [account for sender, account in own.items() if _is_inside(sender, name)]
            if not _DOMAIN.fullmatch(domain) or (at and not _LOCAL_PART.fullmatch(local)):
                self._add(f"{where} is neither a domain nor a mail address")
            elif _is_local(domain):
                self._add(f"{where} would discard mail from inside the qube: leave it out")
            elif lost:
                self._add(
                    f"{where} would discard the mail of {lost[0]}: leave it out, or name what is below it"
                )
            elif name in discarded:
                self._add(f"{where} repeats item {discarded[name]}: keep one")
            else:
                discarded[name] = number
        return list(discarded)

    def _lists(self, value: object) -> list[dict[str, str]]:
        lists: dict[str, tuple[int, str]] = {}
        for number, item in enumerate(self._listing(value, "lists"), 1):
            where = f"List {number}"
            if not isinstance(item, dict):
                self._add(f"{where} must be a mapping with list_id and folder")
                continue
            self._unknown_keys(item, _LIST_KEYS, where)
            list_id = item.get("list_id")
            if not isinstance(list_id, str) or not _LIST_ID.fullmatch(list_id):
                self._add(
                    f"{where}: list_id must be what stands in < > in the List-Id header, as in users.example.com"
                )
            elif list_id.lower() in lists:
                self._add(f"{where}: list_id stands already in List {lists[list_id.lower()][0]}: keep one")
            else:
                lists[list_id.lower()] = number, self._folder(item.get("folder"), where)
        return [{"list_id": list_id, "folder": folder} for list_id, (_, folder) in lists.items()]

    def _folder(self, value: object, where: str) -> str:
        if not isinstance(value, str) or not _FOLDER.fullmatch(value):
            self._add(
                f"{where}: folder must be a path below ~/.maildir, of up to 200 letters, digits, '.', '_', '+', '-' and"
                " '/' between its parts, of which none begins with a dot"
            )
        elif _OWN_FOLDERS & {*value.split("/")}:
            self._add(f"{where}: folder must not hold cur, new or tmp, which are a maildir's own")
        else:
            return value
        return ""

    def _settings(self, value: object) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._add("settings must be a mapping from main.cf parameters to values")
            return {}
        settings: dict[str, str] = {}
        for name, setting in value.items():
            if not isinstance(name, str) or not _PARAMETER.fullmatch(name):
                self._add("settings: a key is not the name of a main.cf parameter")
            elif why := refused(name):
                self._add(f"settings: {name} cannot be set: {why[0]}; {why[1]}")
            elif (text := setting_text(setting)) is None or not re.fullmatch(TUNABLE[name][1], text):
                self._add(f"settings: {name} must be {TUNABLE[name][0]}")
            else:
                settings[name] = text
        # local(8) and virtual(8) die of it.
        mailbox = int(settings.get("mailbox_size_limit", 0))
        message = int(settings.get("message_size_limit", 10240000))
        if mailbox and not 0 < message <= mailbox:
            self._add("settings: mailbox_size_limit must be 0 or at least message_size_limit")
        return settings

    def _user(self, value: object) -> str:
        if isinstance(value, str) and _USER.fullmatch(value) and value != "root":
            return value
        self._add("user must be the name of the local user who reads the mail, in Qubes usually user")
        return "user"


def _sentence(text: str) -> str:
    """Return what somebody else wrote as one line of ASCII with a full stop."""
    text = " ".join(text.encode("ascii", "backslashreplace").decode("ascii").split())
    return text if text.endswith(".") else text + "."


def _is_local(domain: str) -> bool:
    return domain.lower().rpartition(".")[2] in _LOCAL_DOMAINS


def _is_ip_address(value: str) -> bool:
    try:
        # Whatever follows a "%" would be the zone of an IPv6 address.
        return bool(ipaddress.ip_address(value)) and "%" not in value
    except ValueError:
        return False


def _is_utf8(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_inside(sender: str, name: str) -> bool:
    """Tell whether access(5) applies a row for name (a domain or an address) to a sender, or to one of a domain."""
    if sender.startswith("@") and name.endswith(sender):
        return True
    return sender == name or ("@" not in name and f".{sender.rpartition('@')[2]}".endswith(f".{name}"))
