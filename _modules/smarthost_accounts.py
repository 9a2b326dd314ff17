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
import difflib
import fnmatch
import ipaddress
import re
from typing import Any

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

# -- settings -------------------------------------------------------------------------------------------------
# The parameters of main.cf that may be set are named one by one: those that tune sizes, times and limits, or choose
# between ways that are equally safe. All others are refused, so that neither a parameter of a later Postfix nor a name
# of one's own for use as $name is a way around the promises. A value has to be of its parameter's type and range:
# postconf(1) and `postfix check` pass what the daemons then die of.
#
# Made by going through all parameters of Postfix 3.7 to 3.11, with the types, minima and maxima of the tables
# CONFIG_INT_TABLE, CONFIG_TIME_TABLE and so on in src/*/*.c, and postconf(5). A star stands for each transport that
# may be tuned by itself (master.cf of smarthost_config).
_TRANSPORTS = ("default", "local", "smtp-implicit", "smtp-starttls")
_TIME = r"[0-9]{1,9}s|[0-9]{1,7}m|[0-9]{1,5}h?|[0-9]{1,3}[dw]"
# What a value must be, the pattern of it, the names.
_TUNABLE: tuple[tuple[str, str, str], ...] = (
    (
        "a whole number of bytes, 0 for no limit",
        r"[0-9]{1,15}",
        "mailbox_size_limit message_size_limit queue_minfree",
    ),
    (
        "a whole number",
        r"[0-9]{1,9}",
        "*_destination_concurrency_failed_cohort_limit *_destination_concurrency_limit *_destination_recipient_limit"
        " *_recipient_limit default_delivery_slot_cost default_delivery_slot_loan default_extra_recipient_limit"
        " default_minimum_delivery_slots duplicate_filter_limit smtp_connection_reuse_count_limit"
        " smtp_line_length_limit smtp_mx_address_limit smtp_mx_session_limit smtpd_client_connection_count_limit"
        " smtpd_client_connection_rate_limit smtpd_client_message_rate_limit smtpd_client_recipient_rate_limit"
        " tcp_windowsize",
    ),
    (
        "a whole number from 1",
        r"0*[1-9][0-9]{0,8}",
        "bounce_size_limit default_process_limit default_recipient_refill_limit deliver_lock_attempts fork_attempts"
        " hopcount_limit initial_destination_concurrency"
        " local_initial_destination_concurrency smtp-implicit_initial_destination_concurrency"
        " smtp-starttls_initial_destination_concurrency max_use mime_boundary_length_limit mime_nesting_limit"
        " qmgr_message_active_limit qmgr_message_recipient_limit qmgr_message_recipient_minimum"
        " queue_file_attribute_count_limit smtp_min_data_rate smtpd_hard_error_limit smtpd_history_flush_threshold"
        " smtpd_junk_command_limit smtpd_min_data_rate smtpd_recipient_limit smtpd_recipient_overshoot_limit"
        " smtpd_soft_error_limit",
    ),
    (
        "a time such as 90s, 30m, 4h or 5d",
        _TIME,
        "*_destination_rate_delay *_transport_rate_delay delay_warning_time qmgr_clog_warn_time smtp_connect_timeout"
        " smtpd_error_sleep_time",
    ),
    (
        "a time such as 90s, 30m, 4h or 5d, and not 0",
        rf"(?=0*[1-9])(?:{_TIME})",
        "application_event_drain_time command_time_limit connection_cache_protocol_timeout connection_cache_ttl_limit"
        " daemon_timeout default_recipient_refill_delay deliver_lock_delay fork_delay ipc_idle ipc_timeout ipc_ttl"
        " max_idle maximal_backoff_time minimal_backoff_time qmgr_daemon_timeout qmgr_ipc_timeout queue_run_delay"
        " service_throttle_time smtp_connection_cache_time_limit smtp_connection_reuse_time_limit"
        " smtp_data_done_timeout smtp_data_init_timeout smtp_data_xfer_timeout smtp_helo_timeout smtp_mail_timeout"
        " smtp_quit_timeout smtp_rcpt_timeout smtp_rset_timeout smtp_starttls_timeout smtp_xforward_timeout"
        " smtpd_timeout stale_lock_time transport_retry_time trigger_timeout",
    ),
    (
        "a time of up to 100 days, such as 30d",
        r"(?:[0-9]{1,2}|100)d?|(?:[0-9]|1[0-4])w|[0-9]{1,3}h",
        "bounce_queue_lifetime maximal_queue_lifetime",
    ),
    (
        "yes or no",
        r"yes|no",
        "biff confirm_delay_cleared disable_mime_output_conversion enable_threaded_bounces helpful_warnings"
        " respectful_logging smtp_balance_inet_protocols smtp_per_request_deadline smtp_randomize_addresses"
        " smtp_skip_quit_response smtp_tls_connection_reuse smtputf8_enable soft_bounce strict_7bit_headers"
        " strict_8bitmime strict_smtputf8",
    ),
    (
        "all, ipv4, ipv6 or 'ipv4, ipv6'",
        r"all|ipv4|ipv6|ipv4, ?ipv6",
        "inet_protocols",
    ),
    (
        "any, ipv4 or ipv6",
        r"any|ipv4|ipv6",
        "smtp_address_preference",
    ),
    (
        "dns, native or 'native, dns'",
        r"dns|native|native, ?dns",
        "smtp_host_lookup",
    ),
    (
        "0, 1 or 2: from 3 on, the log holds what is sent",
        r"[0-2]",
        "smtp_tls_loglevel",
    ),
    (
        "medium or high",
        r"medium|high",
        "smtp_tls_mandatory_ciphers",
    ),
    (
        "'>=TLSv1.2' or '>=TLSv1.3'",
        r">=TLSv1\.[23]",
        "smtp_tls_mandatory_protocols",
    ),
)
TUNABLE: dict[str, tuple[str, str]] = {
    name.replace("*", transport): (kind, pattern)
    for kind, pattern, names in _TUNABLE
    for name in names.split()
    for transport in _TRANSPORTS
}
# Why another one may not be set, what to do, and the names: the first line with a matching pattern of fnmatch(3). It
# only chooses the words.
_WHY_NOT: tuple[tuple[str, str, str], ...] = (
    (
        "there is no service smtp here",
        "put smtp-starttls, smtp-implicit or default in place of smtp",
        "smtp_destination_* smtp_*recipient_limit smtp_recipient_* smtp_delivery_slot_* smtp_initial_*"
        " smtp_minimum_* smtp_transport_rate_delay",
    ),
    (
        "it would copy mail or passwords elsewhere",
        "leave it out",
        "*_bcc *_bcc_maps *_milters *_milter_maps milter_* content_filter *_checks debug* notify_classes"
        " *_notice_recipient receive_override_* maillog_* *_environment",
    ),
    (
        "each relay is verified before it sees a password",
        "use tls in the account",
        "smtp_tls_* smtp_*_tls smtp_*tls_feature_status smtp_tlsrpt_* smtp_requiretls_* tls_* tlsproxy_*"
        " requiretls_* openssl_path",
    ),
    (
        "a password goes only to its own relay",
        "use username and password in the account",
        "smtp_sasl_* *_sender_dependent_authentication smtp_cname_* *cyrus_sasl_*",
    ),
    (
        "only this qube may hand mail in, and only for its accounts",
        "use accounts or discard_senders",
        "smtpd_* postscreen_* qmqpd_* inet_interfaces proxy_interfaces mynetworks* authorized_* master_service_*"
        " permit_* *access_map* *login_sender_maps* *_reject_code *_defer_code *_reject_reason *_tempfail_action"
        " relay_clientcerts *rbl* anvil_* dnsblog_* disable_vrfy_command reject_code defer_code"
        " show_user_unknown_* strict_rfc821_* *_access_lookup_key",
    ),
    (
        "what leaves the qube names neither it nor its user",
        "leave it out",
        "myhostname mydomain myorigin mail_name mail_version mail_release_date *_helo_name *_send_* *_add_missing_*"
        " *_header_rewrite_* message_* undisclosed_* header_* full_name_* masquerade_*",
    ),
    (
        "local mail goes to the maildir of the user",
        "use lists or user",
        "alias_* home_mailbox mailbox_* mail_spool_* forward_* luser_* local_* allow_mail_to_* default_privs"
        " command_execution_* command_expansion_* execution_* recipient_delimiter propagate_* prepend_* expand_owner_*"
        " reset_owner_* frozen_* owner_request_* require_home_* strict_mailbox_* sun_mailtool_* *verp_*",
    ),
    (
        "mail leaves only through the account of its sender",
        "use accounts",
        "*transport *transport_maps* *transports *relay *relay_* *relayhost* relocated_* virtual_* *fallback*"
        " *nexthop* *canonical* *generic_maps sender_* address_verify_* empty_address_* append_* swap_* resolve_*"
        " mydestination *domains double_bounce_* allow_min* allow_percent* allow_untrusted* allow_srv_* ignore_*"
        " best_mx_* disable_dns_* use_srv_* dns* smtp_bind_* smtp_dns_* smtp_tcp_port known_tcp_ports"
        " smtp_connection_cache_* smtp_discard_* smtp_pix_* smtp_reply_* smtp_skip_* smtp_never_* smtp_always_*"
        " smtp_defer_* smtp_quote_* smtp_address_verify_* lmtp_* *_delivery_status_filter",
    ),
    (
        "the formula chooses the type of its tables",
        "use table_type",
        "default_database_type *_db_type berkeley_* lmdb_* *non_bdb_* *_maps socketmap_*",
    ),
    (
        "the formula owns the files, programs and services of Postfix",
        "leave it out",
        "*_directory *_directories *_path *_program *_group *_owner *_file *_service_name *_service *_commands"
        " multi_instance_* config_* compatibility_level alternate_* process_* service_name syslog_* stress postlog*"
        " default_cache_* hash_queue_* enable_* queue_*",
    ),
)
_OTHERWISE = "it is not among the parameters that can be tuned", "leave it out"


def problems(record: Any) -> list[str]:  # noqa: ANN401 - a pillar may hold anything
    """
    Name everything that is wrong with a ``postfix_smarthost`` pillar.

    record : Any
        The value of the pillar key ``postfix_smarthost``, of any type.

    Returns a list of ASCII sentences, empty when the pillar is good. A sentence names the account and the
    key, never a value.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_accounts.problems '{accounts: []}'
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

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_accounts.normalise '{accounts: [...]}'
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
            self._address(sender, f"sender {position}", where)
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

    def _address(self, value: object, key: str, where: str) -> str:
        if not isinstance(value, str) or not value:
            self._add(f"{where}: {key} must be a mail address like your.mail@example.com")
            return ""
        local, at, domain = value.rpartition("@")
        if at and not local and _DOMAIN.fullmatch(domain):
            self._add(f"{where}: {key} is a whole domain: list each address by itself under senders")
        elif not value.isascii():
            self._add(
                f"{where}: {key} is not ASCII: write the domain in its xn-- form; a local part outside ASCII cannot"
                " be used"
            )
        elif not (_LOCAL_PART.fullmatch(local) and _DOMAIN.fullmatch(domain) and len(value) <= 254):
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
            elif (text := _setting_text(setting)) is None or not re.fullmatch(TUNABLE[name][1], text):
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


def refused(setting: str) -> tuple[str, str] | None:
    """
    Tell whether a main.cf parameter may not be set through ``settings``.

    setting : str
        The name of the parameter, as in postconf(5).

    Returns None if it may be set, else why not and what to do.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_accounts.refused smtp_tls_security_level
    """
    if setting in TUNABLE:
        return None
    for why, remedy, patterns in _WHY_NOT:
        if any(fnmatch.fnmatchcase(setting, pattern) for pattern in patterns.split()):
            return why, remedy
    close = difflib.get_close_matches(setting, TUNABLE, 1, 0.9)
    return (_OTHERWISE[0], f"did you mean {close[0]}") if close else _OTHERWISE


def _setting_text(value: object) -> str | None:
    """Return a value of ``settings`` as main.cf text, None when it has no such form."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and 0 <= value < 10**15 else None


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
    """Tell whether access(5) applies a row for name (a domain or an address) to a sender."""
    return sender == name or ("@" not in name and f".{sender.rpartition('@')[2]}".endswith(f".{name}"))
