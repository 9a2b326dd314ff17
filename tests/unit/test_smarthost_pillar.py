# SPDX-License-Identifier: Apache-2.0
"""smarthost_pillar: what is wrong with a pillar, in sentences, and the regular shape of a good one."""

import base64
import copy
from random import Random
from typing import Any

import pytest
from hypothesis import given

import smarthost_plan
import smarthost_schema
from smarthost_account_keys import ACCOUNT
from smarthost_keys import names
from smarthost_pillar import normalise, problems
from smarthost_schema import RECORD
from smarthost_settings import refused
from tests.malformed import MALFORMED
from tests.records import FACTS, anything, fuzz, hostile, password, randoms, record, records, username
from tests.samples import ALICE, BOB, FINGERPRINT, OTHER_FINGERPRINT, SECRET


@pytest.mark.parametrize(
    ("record", "sentences"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_a_malformed_pillar(record: Any, sentences: tuple[str, ...]) -> None:  # noqa: ANN401
    before = copy.deepcopy(record)
    assert tuple(problems(record)) == sentences
    assert record == before
    assert SECRET not in "".join(sentences)
    with pytest.raises(ValueError, match=r"\.$") as caught:
        normalise(record)
    assert str(caught.value) == "\n".join(sentences)


def test_the_regular_shape() -> None:
    record = {
        "accounts": [
            ALICE | {"relay": "Mail.Example.com", "senders": ["Me@Alias.example"]},
            {"address": "Bob@Example.org", "relay": "smtp.example.org", "port": 465, "default": True}
            | {"username": "bob", "password_base64": base64.b64encode("p\u00e4ss".encode()).decode()},
        ],
        "discard_senders": ["Spam.example", "junk@example.net"],
        "lists": [{"list_id": "Users.example.com", "folder": "list/Users"}],
        "settings": {"message_size_limit": 50000000, "biff": True, "queue_run_delay": " 5m "},
    }
    assert problems(record) == []
    assert normalise(record) == {
        "accounts": [
            {
                "address": "Bob@Example.org",
                "relay": "smtp.example.org",
                "port": 465,
                "auth": "password",
                "username": "bob",
                "password": "p\u00e4ss",
                "senders": ["bob@example.org"],
                "folder": "",
                "fetch": {},
                "oauth": {},
                "tls_mode": "implicit",
                "fingerprints": [],
                "ca": "",
                "derived": [],
            },
            {
                "address": "alice@example.com",
                "relay": "mail.example.com",
                "port": 587,
                "auth": "password",
                "username": "alice@example.com",
                "password": SECRET,
                "senders": ["alice@example.com", "me@alias.example"],
                "folder": "",
                "fetch": {},
                "oauth": {},
                "tls_mode": "starttls",
                "fingerprints": [],
                "ca": "",
                "derived": [],
            },
        ],
        "discard_senders": ["spam.example", "junk@example.net"],
        "disposables": False,
        "mutt": False,
        "packages": [],
        "notifications": True,
        "qube": {},
        "lists": [{"list_id": "users.example.com", "folder": "list/Users"}],
        "settings": {"message_size_limit": "50000000", "biff": "yes", "queue_run_delay": "5m"},
        "table_type": "auto",
        "user": "user",
    }


def test_without_a_default_the_first_account_is_it() -> None:
    regular = normalise({"accounts": [ALICE, BOB]})
    assert [account["address"] for account in regular["accounts"]] == ["alice@example.com", "bob@example.org"]


@pytest.mark.parametrize(
    ("account", "mode"),
    [
        ({}, "starttls"),
        ({"port": 25}, "starttls"),
        ({"port": 465}, "implicit"),
        ({"port": 465, "tls": {"mode": "starttls"}}, "starttls"),
        ({"port": 8465, "tls": {"mode": "implicit"}}, "implicit"),
    ],
)
def test_the_mode_of_tls_follows_the_port(account: dict[str, Any], mode: str) -> None:
    assert normalise({"accounts": [ALICE | account]})["accounts"][0]["tls_mode"] == mode


@pytest.mark.parametrize("relay", ["192.0.2.1", "2001:DB8::1"])
def test_a_pinned_relay_may_be_an_ip_address(relay: str) -> None:
    account = ALICE | {"relay": relay, "tls": {"fingerprint": [FINGERPRINT.lower()]}}
    (regular,) = normalise({"accounts": [account]})["accounts"]
    assert (regular["relay"], regular["fingerprints"]) == (relay.lower(), [FINGERPRINT])


def test_discarding_below_an_account_s_domain_is_allowed() -> None:
    record = {"accounts": [ALICE], "discard_senders": ["lists.example.com", "bob@example.com", "xample.com"]}
    assert problems(record) == []


def test_a_relay_that_is_wrong_in_two_accounts_is_told_twice_and_no_more() -> None:
    """A relay that could not be read was compared as one, with its policies."""
    pinned = {"tls": {"fingerprint": [FINGERPRINT]}}
    record = {"accounts": [ALICE | {"relay": "a b"}, BOB | {"relay": "a b", "port": 587} | pinned]}
    assert [sentence.partition(": ")[2] for sentence in problems(record)] == [
        "relay is not a host name like mail.example.com."
    ] * 2


def test_the_order_of_fingerprints_is_no_other_policy() -> None:
    record = {
        "accounts": [
            ALICE | {"tls": {"fingerprint": [FINGERPRINT, OTHER_FINGERPRINT]}},
            ALICE | {"address": "al@example.com", "tls": {"fingerprint": [OTHER_FINGERPRINT, FINGERPRINT]}},
        ]
    }
    assert problems(record) == []


def test_errors_of_dom0_s_pillar_become_sentences_of_ascii() -> None:
    record = {"errors": ["a\u00e9\n  b", "", 5, "c."]}
    assert problems(record) == ["a\\xe9 b.", "c."]


@given(randoms.map(password))
@fuzz
def test_a_password_of_any_shape_survives(password: str) -> None:
    encoded = base64.b64encode(password.encode()).decode()
    for given_as in ({"password": password}, {"password_base64": encoded}):
        account = {key: value for key, value in ALICE.items() if key != "password"} | given_as
        assert normalise({"accounts": [account]})["accounts"][0]["password"] == password


@given(randoms.map(username))
@fuzz
def test_a_user_name_of_any_shape_survives(username: str) -> None:
    (account,) = normalise({"accounts": [ALICE | {"username": username}]})["accounts"]
    assert account["username"] == username


@given(randoms)
@fuzz
def test_what_postfix_cannot_hold_is_refused_wherever_it_stands(random: Random) -> None:
    text = hostile(random) + random.choice("\n\r\0") + hostile(random)
    for key in ("password", "username", "address", "relay"):
        assert problems({"accounts": [ALICE | {key: text}]}) != []


@given(records)
@fuzz
def test_a_good_pillar_has_no_problems(record: dict[str, Any]) -> None:
    assert problems(record) == []


KEYS = sorted(
    {path.rpartition(":")[2] for path, _ in smarthost_schema.paths()} | {"relayhost", "message_size_limit"}
)
# A secret where it belongs and where it does not.
TEXTS = [
    SECRET,
    f"{SECRET}\n",
    f"password:{SECRET}",
    f"a@{SECRET}",
    f"{SECRET}@example.com",
    "alice@example.com",
]


def are_sentences(told: list[str]) -> bool:
    return all(
        sentence.isascii() and sentence.isprintable() and sentence.endswith(".") and SECRET not in sentence
        for sentence in told
    )


@given(randoms)
@fuzz
def test_whatever_a_pillar_holds_the_answer_is_sentences(random: Random) -> None:
    keys = random.sample(KEYS, 4)
    assert are_sentences(problems(anything(random, TEXTS, keys)))
    accounts = [{key: anything(random, TEXTS, keys) for key in random.sample(KEYS, 4)} for _ in range(2)]
    assert are_sentences(problems({"accounts": accounts}))
    record = {key: anything(random, TEXTS, keys) for key in names(RECORD)}
    assert are_sentences(problems(record))


@given(randoms)
@fuzz
def test_one_wrong_value_in_a_good_pillar(random: Random) -> None:
    """Next to a secret in its place, so that nothing before the wrong value stops the check."""
    made = record(random)
    account = made["accounts"][0]
    account.pop("password_base64", None)
    account["password"] = SECRET
    place = random.choice([account, made])
    key = random.choice(names(ACCOUNT if place is account else RECORD))
    place[key] = anything(random, TEXTS, KEYS)
    assert are_sentences(problems(made))


# -- settings -------------------------------------------------------------------------------------------------

TUNED_BY_THE_PLAN = {
    "default_destination_concurrency_limit",
    "initial_destination_concurrency",
    "biff",
    "bounce_queue_lifetime",
    "delay_warning_time",
    "hopcount_limit",
    "inet_protocols",
    "mailbox_size_limit",
    "maximal_backoff_time",
    "maximal_queue_lifetime",
    "message_size_limit",
    "minimal_backoff_time",
    "queue_minfree",
    "queue_run_delay",
    "smtp_helo_timeout",
    "smtp_starttls_timeout",
    "smtp_tls_connection_reuse",
    "smtp_tls_loglevel",
    "smtp_tls_mandatory_protocols",
    "smtpd_timeout",
}


def planned_parameters() -> set[str]:
    record = {"accounts": [ALICE], "lists": [{"list_id": "a", "folder": "a"}]}
    main_cf = smarthost_plan.plan(normalise(record), "tables-a", FACTS).files["main.cf"].content
    return {line.partition(" =")[0] for line in main_cf.split("\n") if " =" in line and line[0] != "#"}


def test_what_the_plan_writes_may_not_be_undone() -> None:
    """A parameter that the plan comes to write is refused, or is put into the list above by decision."""
    assert {name for name in planned_parameters() if not refused(name)} == TUNED_BY_THE_PLAN


# For each promise the parameters that would break it, and a word of the reason.
@pytest.mark.parametrize(
    ("reason", "names"),
    [
        (
            "verified",
            "smtp_tls_security_level smtp_tls_policy_maps smtp_tls_CAfile smtp_tls_CApath smtp_tls_secure_cert_match"
            " smtp_tls_verify_cert_match smtp_tls_per_site smtp_use_tls smtp_enforce_tls smtp_tls_wrappermode"
            " smtp_tls_protocols smtp_tls_exclude_ciphers smtp_tls_trust_anchor_file smtp_tls_fingerprint_cert_match"
            " smtp_tls_enforce_peername smtp_tls_cert_file smtp_tls_servername smtp_tls_loglevel_maps"
            " tls_append_default_CA tls_medium_cipherlist tls_null_cipherlist tls_ssl_options tls_config_file"
            " tls_legacy_public_key_fingerprints tlsproxy_client_security_level tlsproxy_client_policy_maps",
        ),
        (
            "password goes only",
            "smtp_sasl_auth_enable smtp_sasl_password_maps smtp_sasl_security_options smtp_sasl_tls_security_options"
            " smtp_sasl_tls_verified_security_options smtp_sasl_mechanism_filter smtp_sasl_type smtp_sasl_path"
            " smtp_sender_dependent_authentication smtp_sasl_auth_soft_bounce smtp_cname_overrides_servername"
            " cyrus_sasl_config_path",
        ),
        (
            "only through the account",
            "relayhost default_transport relay_transport transport_maps sender_dependent_relayhost_maps"
            " sender_dependent_default_transport_maps empty_address_default_transport_maps_lookup_key"
            " smtp_fallback_relay fallback_transport sender_canonical_maps canonical_maps recipient_canonical_maps"
            " smtp_generic_maps virtual_alias_maps virtual_transport relocated_maps mydestination relay_domains"
            " best_mx_transport smtp_reply_filter smtp_delivery_status_filter default_delivery_status_filter"
            " smtp_discard_ehlo_keywords smtp_bind_address smtp_tcp_port defer_transports address_verify_relayhost"
            " default_filter_nexthop lmtp_tls_security_level smtp_pix_workaround_maps double_bounce_sender",
        ),
        (
            "may submit mail",
            "inet_interfaces mynetworks mynetworks_style authorized_submit_users authorized_mailq_users"
            " authorized_flush_users smtpd_relay_restrictions smtpd_recipient_restrictions smtpd_sender_restrictions"
            " smtpd_sasl_auth_enable smtpd_proxy_filter smtpd_restriction_classes smtpd_authorized_xclient_hosts"
            " local_login_sender_maps postscreen_access_list qmqpd_authorized_clients master_service_disable"
            " proxy_interfaces",
        ),
        (
            "copy mail or passwords",
            "debug_peer_list debug_peer_level debugger_command notify_classes always_bcc sender_bcc_maps"
            " recipient_bcc_maps content_filter smtpd_milters non_smtpd_milters header_checks body_checks"
            " smtp_header_checks smtp_body_checks nested_header_checks 2bounce_notice_recipient import_environment"
            " export_environment maillog_file receive_override_options",
        ),
        (
            "names neither it nor its user",
            "myhostname mydomain myorigin smtp_helo_name local_header_rewrite_clients remote_header_rewrite_domain"
            " masquerade_domains message_drop_headers always_add_missing_headers smtp_send_xforward_command"
            # A header that is cut off is not recognised.
            " header_size_limit header_address_token_limit header_from_format",
        ),
        (
            "maildir of the user",
            "alias_maps home_mailbox mailbox_command mailbox_command_maps mailbox_transport mail_spool_directory"
            " luser_relay forward_path local_transport allow_mail_to_commands allow_mail_to_files default_privs"
            " recipient_delimiter local_command_shell",
        ),
        ("type of its tables", "default_database_type lmdb_map_size non_bdb_migration_level proxy_read_maps"),
        (
            "owns the files, programs and services",
            "queue_directory daemon_directory command_directory config_directory data_directory shlib_directory"
            " mail_owner setgid_group compatibility_level multi_instance_directories alternate_config_directories"
            " sendmail_path syslog_name bounce_template_file process_id_directory showq_service_name"
            " enable_long_queue_ids hash_queue_names",
        ),
        (
            "no service smtp",
            "smtp_destination_concurrency_limit smtp_destination_rate_delay smtp_destination_recipient_limit"
            " smtp_initial_destination_concurrency smtp_transport_rate_delay",
        ),
        (
            "lost, bounced at once, or held up",
            "soft_bounce strict_8bitmime strict_7bit_headers strict_smtputf8"
            " default_destination_concurrency_failed_cohort_limit"
            " smtp-starttls_destination_concurrency_failed_cohort_limit",
        ),
        # Neither in Postfix's manual nor known here: names of one's own, other cases, services, later versions.
        (
            "not among the parameters",
            "mine Message_size_limit MESSAGE_SIZE_LIMIT x_message_size_limit smtp/inet/message_size_limit"
            " reports_home reports_uid in_flow_delay fault_injection_code",
        ),
    ],
)
def test_refused(reason: str, names: str) -> None:
    for name in names.split():
        why = refused(name)
        assert why is not None, name
        assert reason in why[0], name
        assert why[1]
