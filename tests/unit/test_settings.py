# SPDX-License-Identifier: Apache-2.0
"""smarthost_settings: what may be tuned, from where to where, and that each end is one and the next step is not."""

import re

import pytest

from smarthost_pillar import problems
from smarthost_settings import TUNABLE, Setting
from tests.samples import ALICE

RANGES = {name: setting for name, setting in TUNABLE.items() if setting.kind != "choice"}


def sentences(name: str, value: object, **others: object) -> list[str]:
    return problems({"accounts": [ALICE], "settings": {name: value, **others}})


def with_what_it_needs(name: str) -> dict[str, object]:
    """A limit of the mailbox is none below that of a message."""
    return {"message_size_limit": 100000} if name == "mailbox_size_limit" else {}


def one_step(setting: Setting, end: str, step: int) -> str:
    """The value next to an end, as one writes it."""
    number, unit = re.fullmatch(r"([0-9]+)([smhdw]?)", end).groups()
    return f"{int(number) + step}{unit}"


@pytest.mark.parametrize("name", sorted(RANGES))
def test_both_ends_are_taken_and_one_step_beyond_is_not(name: str) -> None:
    setting, needed = RANGES[name], with_what_it_needs(name)
    least, most = setting.values
    assert sentences(name, least, **needed) == sentences(name, most, **needed) == []
    must_be = [f"settings: {name} must be {setting.must_be}."]
    assert sentences(name, one_step(setting, most, 1), **needed) == must_be
    below = one_step(setting, least, -1)
    # What is below 1 is 0, which may mean none.
    taken = setting.zero and below.rstrip("smhdw") == "0"
    assert sentences(name, below, **needed) == ([] if taken else must_be)
    assert (sentences(name, "0", **needed) == []) is (setting.zero or least.rstrip("smhdw") == "0")


@pytest.mark.parametrize("name", sorted(RANGES))
def test_what_postfix_takes_by_itself_is_within_the_range(name: str) -> None:
    """Else a user who writes down what holds anyway is refused. postconf(5) of 3.7 to 3.11."""
    default = POSTFIX_DEFAULTS[name.replace("smtp-implicit", "default").replace("smtp-starttls", "default")]
    assert sentences(name, default, **with_what_it_needs(name)) == []


POSTFIX_DEFAULTS = {
    "application_event_drain_time": "100s",
    "bounce_queue_lifetime": "5d",
    "bounce_size_limit": "50000",
    "command_time_limit": "1000s",
    "connection_cache_protocol_timeout": "5s",
    "connection_cache_ttl_limit": "2s",
    "daemon_timeout": "18000s",
    "default_delivery_slot_cost": "5",
    "default_delivery_slot_loan": "3",
    "default_destination_concurrency_limit": "20",
    "default_destination_rate_delay": "0s",
    "default_destination_recipient_limit": "50",
    "default_extra_recipient_limit": "1000",
    "default_initial_destination_concurrency": "5",
    "default_minimum_delivery_slots": "3",
    "default_process_limit": "100",
    "default_recipient_limit": "20000",
    "default_recipient_refill_delay": "5s",
    "default_recipient_refill_limit": "100",
    "default_transport_rate_delay": "0s",
    "delay_warning_time": "0h",
    "deliver_lock_attempts": "20",
    "deliver_lock_delay": "1s",
    "duplicate_filter_limit": "1000",
    "fork_attempts": "5",
    "fork_delay": "1s",
    "hopcount_limit": "50",
    "initial_destination_concurrency": "5",
    "ipc_idle": "5s",
    "ipc_timeout": "3600s",
    "ipc_ttl": "1000s",
    "local_destination_concurrency_limit": "2",
    "local_destination_rate_delay": "0s",
    "local_destination_recipient_limit": "1",
    "local_initial_destination_concurrency": "5",
    "local_recipient_limit": "20000",
    "local_transport_rate_delay": "0s",
    "mailbox_size_limit": "0",
    "max_idle": "100s",
    "max_use": "100",
    "maximal_backoff_time": "4000s",
    "maximal_queue_lifetime": "5d",
    "message_size_limit": "104857600",
    "mime_boundary_length_limit": "2048",
    "mime_nesting_limit": "100",
    "minimal_backoff_time": "300s",
    "qmgr_clog_warn_time": "300s",
    "qmgr_daemon_timeout": "1000s",
    "qmgr_ipc_timeout": "60s",
    "qmgr_message_active_limit": "20000",
    "qmgr_message_recipient_limit": "20000",
    "qmgr_message_recipient_minimum": "10",
    "queue_file_attribute_count_limit": "100",
    "queue_minfree": "0",
    "queue_run_delay": "300s",
    "service_throttle_time": "60s",
    "smtp_connect_timeout": "30s",
    "smtp_connection_cache_time_limit": "2s",
    "smtp_connection_reuse_count_limit": "0",
    "smtp_connection_reuse_time_limit": "300s",
    "smtp_data_done_timeout": "600s",
    "smtp_data_init_timeout": "120s",
    "smtp_data_xfer_timeout": "180s",
    "smtp_helo_timeout": "300s",
    "smtp_line_length_limit": "998",
    "smtp_mail_timeout": "300s",
    "smtp_min_data_rate": "500",
    "smtp_mx_address_limit": "5",
    "smtp_mx_session_limit": "2",
    "smtp_quit_timeout": "300s",
    "smtp_rcpt_timeout": "300s",
    "smtp_rset_timeout": "20s",
    "smtp_starttls_timeout": "300s",
    "smtp_xforward_timeout": "300s",
    "smtpd_client_connection_count_limit": "50",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_client_message_rate_limit": "0",
    "smtpd_client_recipient_rate_limit": "0",
    "smtpd_error_sleep_time": "1s",
    "smtpd_hard_error_limit": "20",
    "smtpd_history_flush_threshold": "100",
    "smtpd_junk_command_limit": "100",
    "smtpd_min_data_rate": "500",
    "smtpd_recipient_limit": "1000",
    "smtpd_recipient_overshoot_limit": "1000",
    "smtpd_soft_error_limit": "10",
    "smtpd_timeout": "300s",
    "stale_lock_time": "500s",
    "tcp_windowsize": "0",
    "transport_retry_time": "60s",
    "trigger_timeout": "10s",
}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "message_size_limit",
            ["0", "50000000", 20480000],
            ["abc", "-1", "1k", "50 000", "1.5", True, None, 1.5, 1, "99999", 10**10, "999999999999999"],
        ),
        ("mailbox_size_limit", ["0", "104857600"], ["-1", 10**20]),
        ("default_process_limit", ["50", "0100"], ["0", "00", "1", 5, "1s", "1000000000", ""]),
        ("smtp_mx_session_limit", [0, 2], ["two", 1]),
        (
            "smtp_connect_timeout",
            ["30", "30s", "1m"],
            ["30 s", "30S", "0.5s", "1y", "-1", "$x", "99999999999s", 0, "1s", "999w"],
        ),
        ("queue_run_delay", ["300", "5m"], ["0", "0s", 0, "00m", "${x}", "1s", "2h"]),
        # Without a unit, Postfix takes hours here, and days below.
        ("delay_warning_time", ["0h", "4h", "10m", "2400"], ["4 hours", "100000", "9m", "2401"]),
        (
            "maximal_queue_lifetime",
            ["30d", "100", "14w", 5, "24h"],
            ["101d", "15w", "-1d", "8640001s", 0, "23h"],
        ),
        ("biff", ["yes", "no", True, False], ["maybe", "YES", "1", 1, "yes\n#"]),
        ("inet_protocols", ["all", "ipv4", "ipv4, ipv6", "ipv4,ipv6"], ["ipv5", "", ["ipv4"]]),
        ("smtp_address_preference", ["ipv4"], ["ipv4 ipv6"]),
        ("smtp_host_lookup", ["native, dns"], ["nis"]),
        ("smtp_tls_loglevel", ["0", 1, "2"], ["3", "4", 4]),
        ("smtp_tls_mandatory_protocols", [">=TLSv1.3"], [">=TLSv1", "!SSLv2", ">=TLSv1.2, SSLv3"]),
        ("smtp_tls_mandatory_ciphers", ["high"], ["low", "export", "null"]),
        ("smtp-starttls_destination_concurrency_limit", [2], ["x", 0, 21]),
        ("smtp-implicit_destination_rate_delay", ["0", "1s"], ["x", "999w"]),
        ("default_destination_recipient_limit", [50], [-1, 0]),
    ],
)
def test_a_value_of_its_parameter_s_type(name: str, good: list, bad: list) -> None:
    assert [sentences(name, value) for value in good] == [[]] * len(good)
    must_be = [f"settings: {name} must be {TUNABLE[name].must_be}."]
    assert [sentences(name, value) for value in bad] == [must_be] * len(bad)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("message_size_limit", "a whole number of bytes from 100000 to 1000000000, or 0 for none"),
        ("hopcount_limit", "a whole number from 50 to 1000"),
        ("delay_warning_time", "a time such as 90s, 30m, 4h or 5d, from 10m to 100d, or 0 for none"),
        ("biff", "yes or no"),
        ("inet_protocols", "all, ipv4, ipv6 or 'ipv4, ipv6'"),
    ],
)
def test_what_a_value_must_be(name: str, words: str) -> None:
    assert TUNABLE[name].must_be == words


@pytest.mark.parametrize(
    ("mailbox", "message", "good"),
    [
        *(
            (0, 0, True),
            (200000, 0, False),
            (200000, 200000, True),
            (200000, 200001, False),
            (0, 200001, True),
        ),
        *((200000, None, False), (104857600, None, True), (104857599, None, False)),
    ],
)
def test_mailbox_and_message_size(mailbox: int, message: int | None, good: bool) -> None:
    """local(8) dies of a mailbox limit below that of a message, of which `postfix check` says nothing."""
    others = {} if message is None else {"message_size_limit": message}
    assert (sentences("mailbox_size_limit", mailbox, **others) == []) is good


@pytest.mark.parametrize(
    ("accounts", "given", "good"),
    [
        (1, {"default_destination_concurrency_limit": 20}, True),
        (6, {"default_destination_concurrency_limit": 20}, False),
        (6, {"smtp-starttls_initial_destination_concurrency": 20}, False),
        (6, {"default_destination_concurrency_limit": 20, "default_process_limit": 200}, True),
        (12, {"default_destination_concurrency_limit": 9}, True),
        (12, {"default_destination_concurrency_limit": 9, "default_process_limit": 90}, False),
        (300, {}, True),
    ],
)
def test_a_relay_that_hangs_has_never_all_processes(accounts: int, given: dict[str, int], good: bool) -> None:
    """Each account at a relay has a next hop of its own, up to ten."""
    record = {
        "accounts": [ALICE | {"address": f"a{number}@example.com"} for number in range(accounts)],
        "settings": given,
    }
    told = problems(record)
    assert (told == []) is good
    assert good or told[0].endswith("a relay that hangs would hold up all mail.")
