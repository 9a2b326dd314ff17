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

TABLE_TYPES = ("auto", "cdb", "hash", "lmdb", "texthash")
TLS_MODES = ("implicit", "starttls")
DEFAULT_PORT = 587
IMPLICIT_TLS_PORT = 465

_RECORD_KEYS = ("accounts", "discard_senders", "lists", "settings", "table_type", "user")
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
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.IGNORECASE)
_ATOM = r"[a-z0-9!#$%&'*+/=?^_{|}~-]+"
_LOCAL_PART = re.compile(rf"(?!-){_ATOM}(?:\.{_ATOM})*", re.IGNORECASE)
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){31}")
_LIST_ID = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*", re.IGNORECASE)
_FOLDER_PART = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_SETTING = re.compile(r"[A-Za-z0-9_]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_LOCAL_DOMAINS = ("localdomain", "localhost")

_ROUTING = "mail leaves only through its account", "use accounts"
_TLS = "every relay is verified before it sees a password", "use tls in the account"
_SASL = "a password goes only to its own relay", "use username and password in the account"
_PRIVACY = "what leaves the qube holds no name of it", "leave it out"
_LISTENER = "only this qube may hand mail in, and only for its accounts", "use accounts or discard_senders"
_LOCAL = "local mail goes to the maildir of the user", "use lists or user"
_LAYOUT = "the formula owns the files and programs of Postfix", "leave it out"
_TABLES = "the formula chooses the type of its tables", "use table_type"
_LEAK = "it would copy mail or passwords elsewhere", "leave it out"

# What free-form settings may not touch: a pattern that the whole name must match, why, and what to use instead.
REFUSED_SETTINGS: tuple[tuple[str, tuple[str, str]], ...] = (
    (r"(smtp|lmtp)_(tls|use_tls|enforce_tls|starttls|sasl_tls)_?.*", _TLS),
    (r"tls_.*|tlsproxy_.*|(smtp|smtpd)_per_site.*", _TLS),
    (r"(smtp|lmtp)_sasl_.*|cyrus_sasl_.*|smtp_sender_dependent_authentication|smtp_cname_.*", _SASL),
    (r"debug_peer_.*|debugger_.*|.*_bcc(_maps)?|always_bcc|.*_milters|milter_.*|content_filter", _LEAK),
    (r".*filter|.*(header|body)_checks|.*_reply_filter|.*_dsn_filter|.*_filter_classes", _LEAK),
    (r".*transport.*|.*relay.*|.*fallback.*|.*nexthop.*|default_delivery_slot.*_transport", _ROUTING),
    (
        r"(smtp|lmtp)_(bind|host_lookup|dns|tcp|proxy|pix|assume|connection_reuse|skip|discard|never|always).*",
        _ROUTING,
    ),
    (r".*canonical.*|.*generic.*|masquerade_.*|sender_.*|empty_address_.*|address_verify.*", _ROUTING),
    (
        r"mydestination|virtual_.*|fast_flush_.*|disable_dns_lookups|best_mx.*|append_.*|swap_.*|remote_.*",
        _ROUTING,
    ),
    (
        r"allow_(min|percent|untrusted).*|resolve_.*|rewrite_.*|local_header_rewrite_.*|parent_domain_.*",
        _ROUTING,
    ),
    (
        r"inet_interfaces|mynetworks.*|smtpd_.*|postscreen_.*|proxy_.*|master_service_.*|authorized_.*",
        _LISTENER,
    ),
    (
        r"permit_.*|reject_.*|.*_restrictions|.*_restriction_classes|.*access_maps?.*|local_login_.*",
        _LISTENER,
    ),
    (
        r"myhostname|mydomain|myorigin|mail_name|mail_version|.*helo_name|.*_send_.*|.*_banner|syslog_name",
        _PRIVACY,
    ),
    (
        r"alias_.*|home_mailbox|mailbox_(command|transport).*|mail_spool.*|forward_.*|.*_recipient_maps",
        _LOCAL,
    ),
    (
        r"allow_mail_to_.*|default_privs|luser_.*|local_(command|delivery).*|command_.*|.*_export_.*|.*shell.*",
        _LOCAL,
    ),
    (r"prepend_delivered.*|export_environment|import_environment|recipient_delimiter|propagate_.*", _LOCAL),
    (r"default_database_type|.*_db_type|berkeley_.*|lmdb_.*|.*non_bdb.*|.*_maps", _TABLES),
    (
        r".*_(directory|directories|path|program|group|owner|file|files|service_name|service|command|commands)",
        _LAYOUT,
    ),
    (
        r"multi_instance.*|alternate_config.*|config_.*|compatibility_level|shlib_.*|meta_.*|enable_.*|maillog_.*",
        _LAYOUT,
    ),
    (
        r"process_.*|process_name|service_name|stress|soft_bounce|notify_classes|.*_notice_recipient|smtputf8_.*",
        _LAYOUT,
    ),
    (r"undisclosed.*|always_add_missing_headers|message_strip_.*|.*_checks.*", _PRIVACY),
)


def problems(record: Any) -> list[str]:  # noqa: ANN401 - a pillar may hold anything
    """
    Name everything that is wrong with a ``postfix_smarthost`` pillar.

    record
        The value of the pillar key ``postfix_smarthost``, of any type.

    Returns a list of ASCII sentences, empty when the pillar is good. A sentence names the account and the
    key, never a password.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_accounts.problems '{accounts: []}'
    """
    return _Checker().check(record)[1]


def normalise(record: Any) -> dict[str, Any]:  # noqa: ANN401 - a pillar may hold anything
    """
    Return a ``postfix_smarthost`` pillar in its regular shape: defaults filled in, passwords decoded.

    record
        The value of the pillar key ``postfix_smarthost``.

    Returns a dictionary with ``accounts`` (a list, the default account first; each with ``address``,
    ``relay``, ``port``, ``username``, ``password``, ``senders`` (the address first, lower case),
    ``tls_mode`` and ``fingerprints``), ``discard_senders``, ``lists``, ``settings`` (strings), ``table_type``
    and ``user``. It holds the passwords: it is for other modules, not for printing.

    Raises ValueError with all problems, one to a line, when there are any.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_accounts.normalise '{accounts: [...]}'
    """
    regular, found = _Checker().check(record)
    if found:
        raise ValueError("\n".join(found))
    return regular


def _shown(value: object) -> str:
    """Return a value that is no secret as printable ASCII in quotes, cut short."""
    text = ascii(str(value))
    return text if len(text) <= 64 else text[:60] + "...'"


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
        self._unknown_keys(record, _RECORD_KEYS, "postfix_smarthost")
        accounts = self._accounts(record.get("accounts"))
        regular = {
            "accounts": accounts,
            "discard_senders": self._discard_senders(record.get("discard_senders"), accounts),
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
                self._add(f"{where} has the unknown key {_shown(key)}: use {', '.join(known)}")

    def _choice(self, mapping: dict, key: str, choices: tuple[str, ...], default: str, where: str) -> str:
        value = mapping.get(key, default)
        if value in choices and isinstance(value, str):
            return value
        self._add(f"{where}: {key} must be one of {', '.join(choices)}")
        return default

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
            self._address(sender, "senders", where)
            for sender in self._listing(item.get("senders"), f"{where}: senders")
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

    def _address(self, value: object, key: str, where: str) -> str:
        if not isinstance(value, str) or not value:
            self._add(f"{where}: {key} must hold mail addresses like your.mail@example.com")
            return ""
        local, at, domain = value.rpartition("@")
        if at and not local and _DOMAIN.fullmatch(domain):
            self._add(f"{where}: {key} holds the whole domain {_shown(value)}: list each address by itself")
        elif not value.isascii():
            self._add(
                f"{where}: {key} holds {_shown(value)}, which is not ASCII: write the domain in its xn-- form;"
                " a local part outside ASCII cannot be used"
            )
        elif not (_LOCAL_PART.fullmatch(local) and _DOMAIN.fullmatch(domain) and len(value) <= 254):
            self._add(
                f"{where}: {key} holds {_shown(value)}, which is not a mail address like your.mail@example.com"
            )
        elif domain.lower().rpartition(".")[2] in _LOCAL_DOMAINS:
            self._add(
                f"{where}: {key} holds {_shown(value)}, an address inside the qube: give the one at your provider"
            )
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
                f"{where}: relay is the IP address {value}, which no certificate can prove: give the host name,"
                " or pin the certificate with tls: {fingerprint: [...]}"
            )
        elif "[" in value or ":" in value:
            self._add(f"{where}: relay {_shown(value)} must be a bare host name: the port goes into port")
        elif not _HOST.fullmatch(value) or len(value) > 253 or value.rpartition(".")[2].isdigit():
            self._add(f"{where}: relay {_shown(value)} is not a host name")
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
            self._add(f"{where}: username must not begin or end with white space or hold control characters")
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
        if "password" in item:
            key, value = "password", item["password"]
            if not isinstance(value, str):
                self._add(f"{where}: password is not text for YAML: put it in quotes")
                return ""
        else:
            key, value = "password_base64", self._decoded(item["password_base64"], where)
            if value is None:
                return ""
        if value == "":
            self._add(f"{where}: {key} is empty")
        elif not _is_utf8(value):
            self._add(f"{where}: {key} is not UTF-8, which Postfix cannot hold")
        elif re.search(r"[\n\r\0]", value):
            self._add(f"{where}: {key} holds a line break or a NUL byte, which Postfix cannot hold")
        elif value[-1] in " \t\v\f":
            self._add(
                f"{where}: {key} ends with white space, which Postfix cannot hold: change the password at the provider"
            )
        return value

    def _decoded(self, value: object, where: str) -> str | None:
        try:
            if not isinstance(value, str):
                raise ValueError
            return base64.b64decode("".join(value.split()), validate=True).decode("utf-8")
        except UnicodeDecodeError:
            self._add(f"{where}: password_base64 is not UTF-8 when decoded, which Postfix cannot hold")
        except (ValueError, binascii.Error):
            self._add(f"{where}: password_base64 is not valid base64")
        return None

    def _one_default(self, accounts: list[dict[str, Any]]) -> None:
        chosen = [account["where"] for account in accounts if account["default"]]
        if len(chosen) > 1:
            self._add(f"{' and '.join(chosen)} are both the default: keep default: true in one of them")

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
            if any(first[key] != account[key] for key in ("fingerprints", "tls_mode")):
                self._add(
                    f"{account['where']}: tls differs from {first['where']}, which uses the same relay and port"
                )

    # -- the rest of the record -------------------------------------------------------------------------

    def _discard_senders(self, value: object, accounts: list[dict[str, Any]]) -> list[str]:
        own = {sender: account["where"] for account in accounts for sender in account["senders"]}
        discarded = []
        for item in self._listing(value, "discard_senders"):
            name = item.lower() if isinstance(item, str) else ""
            local, at, domain = name.rpartition("@")
            if not _DOMAIN.fullmatch(domain) or (at and not _LOCAL_PART.fullmatch(local)):
                self._add(
                    f"discard_senders holds {_shown(item)}, which is neither a domain nor a mail address"
                )
                continue
            lost = [where for sender, where in own.items() if _is_inside(sender, name)]
            if lost:
                self._add(f"discard_senders holds {_shown(item)}, which would discard the mail of {lost[0]}")
            discarded.append(name)
        for name in sorted({name for name in discarded if discarded.count(name) > 1}):
            self._add(f"discard_senders holds {_shown(name)} more than once")
        return discarded

    def _lists(self, value: object) -> list[dict[str, str]]:
        lists: list[dict[str, str]] = []
        for number, item in enumerate(self._listing(value, "lists"), 1):
            where = f"List {number}"
            if not isinstance(item, dict):
                self._add(f"{where} must be a mapping with list_id and folder")
                continue
            self._unknown_keys(item, _LIST_KEYS, where)
            list_id, folder = item.get("list_id"), item.get("folder")
            if not isinstance(list_id, str) or not _LIST_ID.fullmatch(list_id):
                self._add(
                    f"{where}: list_id must be what stands in < > in the List-Id header, as in users.example.com"
                )
            elif any(known["list_id"] == list_id.lower() for known in lists):
                self._add(f"{where}: list_id {list_id} stands already in another list")
            elif not isinstance(folder, str) or not all(
                _FOLDER_PART.fullmatch(part) for part in folder.split("/")
            ):
                self._add(
                    f"{where} ({list_id}): folder must be a path below ~/.maildir made of letters, digits, '.', '_',"
                    " '+' and '-', no part of it beginning with a dot"
                )
            elif folder in ("cur", "new", "tmp") or folder.startswith(("cur/", "new/", "tmp/")):
                self._add(
                    f"{where} ({list_id}): folder must not be one of the maildir's own cur, new and tmp"
                )
            else:
                lists.append({"list_id": list_id.lower(), "folder": folder})
        return lists

    def _settings(self, value: object) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._add("settings must be a mapping from main.cf parameters to values")
            return {}
        settings: dict[str, str] = {}
        for name, setting in value.items():
            if not isinstance(name, str) or not _SETTING.fullmatch(name):
                self._add(f"settings: {_shown(name)} is not the name of a main.cf parameter")
                continue
            refusal = refused(name)
            text = _setting_text(setting)
            if refusal:
                self._add(f"settings: {name} cannot be set, because {refusal[0]}: {refusal[1]} instead")
            elif text is None:
                self._add(f"settings: {name} must be text, a number, true, false or a list of these")
            elif not _PRINTABLE.fullmatch(text):
                self._add(f"settings: {name} must be one line of printable ASCII")
            else:
                settings[name] = text.strip()
        return settings

    def _user(self, value: object) -> str:
        if isinstance(value, str) and _USER.fullmatch(value) and value != "root":
            return value
        self._add("user must be the name of the local user who reads the mail, in Qubes usually user")
        return "user"


def refused(setting: str) -> tuple[str, str] | None:
    """
    Tell whether a main.cf parameter may not be set through ``settings``.

    setting
        The name of the parameter, as in postconf(5).

    Returns None if it may be set, else why not and what to use instead.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_accounts.refused smtp_tls_security_level
    """
    return next((why for pattern, why in REFUSED_SETTINGS if re.fullmatch(pattern, setting)), None)


def _setting_text(value: object) -> str | None:
    """Return a value of ``settings`` as main.cf text, None when it has no such form."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, str)):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, (int, str)) for item in value):
        return ", ".join(_setting_text(item) or "" for item in value)
    return None


def _is_ip_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_utf8(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_inside(sender: str, name: str) -> bool:
    """Tell whether access(5) applies a row for name (a domain or an address) to a sender."""
    return sender == name or ("@" not in name and f".{sender.rpartition('@')[2]}".endswith(f".{name}"))
