# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md, Hostile relays."""

from tests.protections.protection import protect

_HOSTILE = "tests/lab/test_hostile_relays.py::test_message_waits_with_a_reason_and_no_password_is_sent"
_REQUESTS = "tests/lab/test_requests_of_messages.py::test"
_SHARED = "tests/lab/test_accounts_of_one_relay.py::test"
_TROUBLE = "tests/lab/test_relay_trouble.py::test"
_VERIFY = "tests/lab/test_verify.py::test"
_WAYS = "tests/lab/test_ways_to_log_in.py::test"
_FILTER = '"smtp_sasl_mechanism_filter": ", ".join(MECHANISMS).lower()'
_LEVEL = '"smtp_tls_security_level": "secure"'

PROTECTIONS = (
    protect(
        "level secure: a certificate is verified",
        f"{_HOSTILE}[self-signed]",
        (_LEVEL, '"smtp_tls_security_level": "encrypt"'),
    ),
    protect(
        # In the lab the fixture, which waits for each port, ends in an error without it, and that is no failure.
        "level secure: TLS has to be offered",
        "tests/unit/test_plan_passwords.py::test_a_password_is_sent_only_over_verified_tls",
        (_LEVEL, '"smtp_tls_security_level": "may"'),
    ),
    protect(
        "smtp_tls_secure_cert_match",
        f"{_HOSTILE}[name below]",
        ('"smtp_tls_secure_cert_match": "nexthop",', ""),
    ),
    protect(
        "smtp_tls_wrappermode",
        f"{_HOSTILE}[clear text where TLS is implicit]",
        ("=postfix/smtp-implicit\n    -o smtp_tls_wrappermode=yes\n", "=postfix/smtp-implicit\n"),
    ),
    protect(
        "smtp_sasl_mechanism_filter",
        f"{_HOSTILE}[weak mechanisms only]",
        (_FILTER, '"smtp_sasl_mechanism_filter": "static:all"'),
    ),
    protect(
        "smtp_sasl_mechanism_filter: plugins",
        "tests/lab/test_mechanisms.py::test_password_account_logs_in_by_its_password[LOGIN PLAIN XOAUTH2]",
        (_FILTER, '"smtp_sasl_mechanism_filter": "!gssapi, !gs2-krb5, !ntlm, !digest-md5, static:all"'),
    ),
    protect(
        "servername",
        "tests/lab/test_relay_names.py::test_certificate_of_the_relay_s_name_is_asked_for[SMTP.sni.test-587-yes]",
        ("words.append(f\"servername={account['relay']}\")", "pass"),
    ),
    protect(
        "tls_required_enable",
        f"{_REQUESTS}_message_that_waives_tls_waits_for_a_verified_relay_all_the_same",
        ('"tls_required_enable": "no"', '"tls_required_enable": "yes"'),
    ),
    protect(
        "smtp_discard_ehlo_keywords",
        f"{_REQUESTS}_relay_that_offers_reports_is_told_no_name_from_inside",
        ('"dsn, silent-discard${tls_required_enable?}"', '"silent-discard${tls_required_enable?}"'),
    ),
    protect(
        "a next hop for each account",
        f"{_SHARED}_trouble_of_one_account_leaves_the_others_of_its_relay_flowing[535]",
        ("{'0' * (seen.get(place, 0) % NEXT_HOPS)}", ""),
    ),
    protect(
        "default_destination_concurrency_limit",
        f"{_SHARED}_relay_that_hangs_takes_two_processes_and_no_more",
        ('"default_destination_concurrency_limit": "2",', ""),
        ('"initial_destination_concurrency": "2",', ""),
    ),
    protect(
        "a private CA is trusted for its relay",
        f"{_WAYS}_private_ca_vouches_for_its_relay_and_for_no_other[587]",
        ('words.append(f"tafile={ca_file}")', "pass"),
    ),
    protect(
        "clear text is for loopback",
        f"{_WAYS}_clear_text_is_for_addresses_of_loopback_only[10.138.0.1]",
        ("if is_loopback(host)", "if host"),
    ),
    protect(
        "a server that mail is fetched from is verified",
        "tests/lab/test_fetching.py::test_server_of_another_name_gets_no_password",
        ('sslproto "TLS1.2+" sslcertck', 'sslproto "TLS1.2+" no sslcertck'),
    ),
    protect(
        "a pin counts for a server that mail is fetched from",
        "tests/lab/test_fetching.py::test_known_relay_is_known_again_by_its_pin_or_its_ca",
        ("if pins and not pins & fingerprints(", "if not pins and not pins & fingerprints("),
    ),
    protect(
        "a clone leaves the mailbox of its original alone",
        "tests/lab/test_fetching_trouble.py::test_copies_of_a_qube_leave_its_mailbox_alone",
        (': >"$queue/fetch-off" ||', ": ||"),
    ),
    protect(
        "smtp_bind_address",
        f"{_WAYS}_clear_text_gets_to_no_other_host_whatever_the_tables_say",
        (
            "-o smtp_sasl_security_options=noanonymous\n    -o smtp_bind_address=127.0.0.1\n",
            "-o smtp_sasl_security_options=noanonymous\n",
        ),
    ),
    protect(
        "an account without a login is one that says so",
        f"{_WAYS}_account_whose_password_is_missing_is_none_without_a_login",
        ('(_WITHOUT_LOGIN if account["auth"] == "none" else "")', "_WITHOUT_LOGIN"),
    ),
    protect(
        "smtp_delivery_status_filter: what Postfix says itself",
        f"{_TROUBLE}_trouble_with_the_relay_waits_with_a_reason[no such name]",
        (r"/^5(\\.(3\\.0|4\\.[346]|5\\.0) .*)/ 4$1", r"/^5(\\.(9\\.9) .*)/ 4$1"),
    ),
    protect(
        "smtp_delivery_status_filter",
        f"{_HOSTILE}[no AUTH]",
        ("said: ([^5]|53[0458][ -]).*)/ 4$1", "said: ([^5]).*)/ 4$1"),
    ),
    protect(
        "policy fingerprint",
        "tests/lab/test_hostile_relays.py::test_pinned_fingerprint_lets_a_private_relay_in_and_only_that_key",
        ('words = ["fingerprint", "match=" + "|".join(account["fingerprints"])]', 'words = ["encrypt"]'),
    ),
    protect(
        "a sender's own way keeps it from a wider login",
        "tests/lab/test_whole_domains.py::test_missing_row_below_a_whole_domain_is_not_the_domain_s",
        ("f\"pipemap:{{{table('sender_relay')}, fail:no_password}}\", ", ""),
    ),
    protect(
        "a restart where another login covers a sender",
        "tests/unit/test_smarthost_manifest.py::test_what_another_cover_of_a_sender_needs",
        (
            "if before and after and before != after:",
            "if sender in self.senders and sender in old.senders and before != after:",
        ),
    ),
    protect(
        "fail: behind the table of passwords",
        "tests/lab/test_secrets.py::test_password_that_is_missing_in_the_table_keeps_the_message_from_leaving_without_a_login",
        (
            """[table("saslpass"), f"pipemap:{{{table('sender_relay')}, fail:no_password}}", _BACKSTOP]""",
            '[table("saslpass")]',
        ),
    ),
    protect(
        "verify: the name in the certificate",
        f"{_VERIFY}_no_password_goes_where_the_certificate_is_not_right",
        ("context.check_hostname = not any_name", "context.check_hostname = False"),
    ),
    protect(
        "verify: pins",
        f"{_VERIFY}_no_password_goes_where_the_certificate_is_not_right",
        ("if not shown & self._pins:", "if False:"),
    ),
    protect(
        "verify: what a relay repeats",
        f"{_VERIFY}_password_is_nowhere",
        ('text = text.replace(form, "***")', "continue"),
    ),
)
