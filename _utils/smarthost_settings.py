# SPDX-License-Identifier: Apache-2.0
"""
The parameters of main.cf that ``settings`` may tune, and why the others may not be set.

Pure functions and data.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from typing import NamedTuple

# The parameters of main.cf that may be set are named one by one: those that tune sizes, times and limits, or choose
# between ways that are equally safe. All others are refused, so that neither a parameter of a later Postfix nor a name
# of one's own for use as $name is a way around the promises. A value has to be of its parameter's type and range:
# postconf(1) and `postfix check` pass what the daemons then die of, and what a daemon takes may still lose mail.
#
# Made by going through all parameters of Postfix 3.7 to 3.11, with the types, minima and maxima of the tables
# CONFIG_INT_TABLE, CONFIG_TIME_TABLE and so on in src/*/*.c, and postconf(5). The ranges are those that were run in
# the lab at both ends (tests/lab/test_settings.py): there mail is taken, leaves, waits and is reported. They leave out
# what a server may want and a qube never: to give up after a second, to try once only, to hold up all relays for one.
# A star stands for each transport that may be tuned by itself (master.cf of smarthost_services).
_TRANSPORTS = ("default", "local", "smtp-implicit", "smtp-starttls")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Setting(NamedTuple):
    """
    What a parameter may be set to.

    kind
        ``number``, ``time`` or ``choice``.
    values
        The least and the most for a number or a time, as one writes them; the choices.
    zero
        Whether 0 is taken as well, and means no limit or no such thing.
    unit
        What a number counts; the unit of a time without one, as Postfix takes it.
    """

    kind: str
    values: tuple[str, ...]
    zero: bool = False
    unit: str = ""

    @property
    def must_be(self) -> str:
        """What a value must be, in words that follow "must be"."""
        if self.kind == "choice":
            *others, last = (
                f"'{value}'" if re.search(r"[^a-z0-9]", value) else value for value in self.values
            )
            return f"{', '.join(others)} or {last}" if others else last
        number = f"a whole number{self.unit and ' of '}{self.unit}"
        what = number if self.kind == "number" else "a time such as 90s, 30m, 4h or 5d,"
        return f"{what} from {self.values[0]} to {self.values[1]}{', or 0 for none' if self.zero else ''}"

    def takes(self, text: str) -> bool:
        """
        Tell whether a value may be given.

        text : str
            The value as main.cf would have it.
        """
        if self.kind == "choice":
            return text in self.values or text.replace(",", ", ") in self.values
        amount = self._amount(text)
        if amount is None:
            return False
        least, most = (self._amount(value) or 0 for value in self.values)
        return least <= amount <= most or (self.zero and amount == 0)

    def _amount(self, text: str) -> int | None:
        if not re.fullmatch(r"[0-9]{1,15}[smhdw]?", text):
            return None
        if text[-1].isdigit():
            return int(text) * (_SECONDS[self.unit or "s"] if self.kind == "time" else 1)
        return int(text[:-1]) * _SECONDS[text[-1]] if self.kind == "time" else None

    def amount(self, text: str) -> int:
        """
        Return a value that is taken as a number, a time in seconds.

        text : str
            The value as main.cf would have it.
        """
        return self._amount(text) or 0


def _number(least: int, most: int, zero: bool = False, of: str = "") -> Setting:
    return Setting("number", (str(least), str(most)), zero, of)


def _time(least: str, most: str, zero: bool = False, unit: str = "") -> Setting:
    return Setting("time", (least, most), zero, unit)


def _choice(*values: str) -> Setting:
    return Setting("choice", values)


_TUNABLE: tuple[tuple[Setting, str], ...] = (
    # Smaller than a report, or more than the disk has free: none is taken any more.
    (_number(100_000, 1_000_000_000, zero=True, of="bytes"), "message_size_limit"),
    (_number(100_000, 1_000_000_000_000, zero=True, of="bytes"), "mailbox_size_limit"),
    (_number(0, 1_000_000_000, of="bytes"), "queue_minfree"),
    # More, or none, and one relay that hangs has all processes.
    (
        _number(1, 20),
        "*_destination_concurrency_limit initial_destination_concurrency local_initial_destination_concurrency"
        " smtp-implicit_initial_destination_concurrency smtp-starttls_initial_destination_concurrency",
    ),
    (_number(50, 1000), "default_process_limit"),
    (_number(1, 1000), "*_destination_recipient_limit"),
    (
        _number(1000, 100_000),
        "*_recipient_limit default_extra_recipient_limit qmgr_message_active_limit qmgr_message_recipient_limit",
    ),
    (_number(1, 1000), "qmgr_message_recipient_minimum default_recipient_refill_limit"),
    (_number(0, 100), "default_delivery_slot_cost default_delivery_slot_loan default_minimum_delivery_slots"),
    # Fewer, and who is named twice gets a message twice.
    (_number(100, 100_000), "duplicate_filter_limit"),
    (_number(0, 10_000), "smtp_connection_reuse_count_limit"),
    # RFC 5322 2.1.1; shorter ones break what is signed.
    (_number(998, 1_000_000, zero=True), "smtp_line_length_limit"),
    # One address would be the one of IPv6, in a qube that has none.
    (_number(2, 100, zero=True), "smtp_mx_address_limit smtp_mx_session_limit"),
    (_number(4096, 1_048_576, zero=True), "tcp_windowsize"),
    (_number(1000, 10_000_000), "bounce_size_limit"),
    (_number(5, 1000), "deliver_lock_attempts fork_attempts"),
    # Mail that is fetched has come over 20 hosts at times.
    (_number(50, 1000), "hopcount_limit"),
    (_number(1, 10_000), "max_use smtpd_recipient_overshoot_limit"),
    # RFC 2046 5.1.1: a boundary has up to 70 characters.
    (_number(70, 10_000), "mime_boundary_length_limit"),
    (_number(20, 1000), "mime_nesting_limit"),
    # It counts each recipient, too: with less, a message is taken and thrown away.
    (_number(100, 10_000), "queue_file_attribute_count_limit"),
    (_number(1, 1000), "smtp_min_data_rate smtpd_min_data_rate"),
    # RFC 5321 4.5.3.1.8; a program that is sent away tries the same again.
    (_number(100, 10_000), "smtpd_history_flush_threshold smtpd_junk_command_limit smtpd_recipient_limit"),
    (_number(10, 10_000), "smtpd_hard_error_limit smtpd_soft_error_limit"),
    (
        _number(0, 1000),
        "smtpd_client_connection_count_limit smtpd_client_connection_rate_limit smtpd_client_message_rate_limit"
        " smtpd_client_recipient_rate_limit",
    ),
    (_time("0", "1h"), "*_destination_rate_delay *_transport_rate_delay"),
    (_time("10m", "100d", zero=True, unit="h"), "delay_warning_time"),
    (_time("0", "30s"), "smtpd_error_sleep_time"),
    (_time("0", "1d"), "qmgr_clog_warn_time"),
    (_time("1s", "1m"), "connection_cache_protocol_timeout default_recipient_refill_delay trigger_timeout"),
    (_time("1s", "10s"), "deliver_lock_delay fork_delay"),
    (_time("1s", "5m"), "connection_cache_ttl_limit smtp_connection_cache_time_limit"),
    (_time("1s", "1h"), "ipc_idle max_idle smtp_connection_reuse_time_limit"),
    (_time("5s", "10m"), "service_throttle_time transport_retry_time"),
    (_time("10s", "1h"), "application_event_drain_time qmgr_ipc_timeout queue_run_delay smtp_rset_timeout"),
    (_time("10s", "10m"), "smtp_connect_timeout"),
    (_time("10s", "1d"), "maximal_backoff_time minimal_backoff_time"),
    # A relay far away, or busy, needs more than seconds (RFC 5321 4.5.3.2 names minutes).
    (
        _time("30s", "1h"),
        "smtp_data_init_timeout smtp_data_xfer_timeout smtp_helo_timeout smtp_mail_timeout smtp_quit_timeout"
        " smtp_rcpt_timeout smtp_starttls_timeout smtp_xforward_timeout smtpd_timeout",
    ),
    # RFC 5321 4.5.3.2.6: who does not wait for the answer sends a message twice.
    (_time("10m", "1h"), "smtp_data_done_timeout"),
    (_time("1m", "1d"), "command_time_limit ipc_timeout ipc_ttl qmgr_daemon_timeout stale_lock_time"),
    # A process that works longer is killed.
    (_time("1h", "10d"), "daemon_timeout"),
    # With 0, mail is tried once and bounced.
    (_time("1d", "100d", unit="d"), "bounce_queue_lifetime maximal_queue_lifetime"),
    # Not what refuses mail that others take, nor soft_bounce, with which a refusal is never told.
    (
        _choice("yes", "no"),
        "biff confirm_delay_cleared disable_mime_output_conversion enable_threaded_bounces helpful_warnings"
        " respectful_logging smtp_balance_inet_protocols smtp_per_request_deadline smtp_randomize_addresses"
        " smtp_skip_quit_response smtp_tls_connection_reuse smtputf8_enable",
    ),
    (_choice("all", "ipv4", "ipv6", "ipv4, ipv6"), "inet_protocols"),
    (_choice("any", "ipv4", "ipv6"), "smtp_address_preference"),
    (_choice("dns", "native", "native, dns"), "smtp_host_lookup"),
    # From 3 on, the log holds what is sent.
    (_choice("0", "1", "2"), "smtp_tls_loglevel"),
    (_choice("medium", "high"), "smtp_tls_mandatory_ciphers"),
    (_choice(">=TLSv1.2", ">=TLSv1.3"), "smtp_tls_mandatory_protocols"),
)
TUNABLE: dict[str, Setting] = {
    name.replace("*", transport): setting
    for setting, names in _TUNABLE
    for name in names.split()
    for transport in _TRANSPORTS
}


def contradictions(settings: dict[str, str], message_size_limit: str) -> list[str]:
    """
    Name the settings that are good by themselves and not together, as sentences without their full stops.

    settings : dict
        Parameters and values, each in its range.
    message_size_limit : str
        That which holds where ``settings`` has none.
    """
    found = []
    # local(8) and virtual(8) die of it.
    mailbox = int(settings.get("mailbox_size_limit", 0))
    message = int(settings.get("message_size_limit", message_size_limit))
    if mailbox and not 0 < message <= mailbox:
        found.append("settings: mailbox_size_limit must be 0 or at least message_size_limit")
    return found


def too_many_at_once(settings: dict[str, str], accounts: int) -> str:
    """
    Say that a relay that hangs would have all processes, and other accounts none, "" if it would not.

    settings : dict
        Parameters and values, each in its range.
    accounts : int
        How many accounts of one relay have a next hop of their own.
    """
    names = ("destination_concurrency_limit", "initial_destination_concurrency")
    most = max((int(value) for name, value in settings.items() if name.endswith(names)), default=2)
    processes = int(settings.get("default_process_limit", 100))
    if most * accounts < processes:
        return ""
    return (
        f"settings: {most} deliveries at once for each of {accounts} accounts at one relay are not fewer than"
        f" default_process_limit, {processes}: a relay that hangs would hold up all mail"
    )


# Why another one may not be set, what to do, and the names: the first line with a matching pattern of fnmatch(3). It
# only chooses the words.
_WHY_NOT: tuple[tuple[str, str, str], ...] = (
    (
        "with it, mail would be lost, bounced at once, or held up by the mail of another account",
        "leave it out",
        "soft_bounce *_failed_cohort_limit strict_7bit_headers strict_8bitmime strict_smtputf8",
    ),
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
        "only this qube may submit mail, and only for its accounts",
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


def refused(setting: str) -> tuple[str, str] | None:
    """
    Tell whether a main.cf parameter may not be set through ``settings``.

    setting : str
        The name of the parameter, as in postconf(5).

    Returns None if it may be set, else why not and what to do.
    """
    if setting in TUNABLE:
        return None
    for why, remedy, patterns in _WHY_NOT:
        if any(fnmatch.fnmatchcase(setting, pattern) for pattern in patterns.split()):
            return why, remedy
    close = difflib.get_close_matches(setting, TUNABLE, 1, 0.9)
    return (_OTHERWISE[0], f"did you mean {close[0]}") if close else _OTHERWISE


def setting_text(value: object) -> str | None:
    """Return a value of ``settings`` as main.cf text, None when it has no such form."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and 0 <= value < 10**15 else None
