# SPDX-License-Identifier: Apache-2.0
"""
The parameters of main.cf that ``settings`` may tune, and why the others may not be set.

Pure functions and data.
"""

from __future__ import annotations

import difflib
import fnmatch

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
