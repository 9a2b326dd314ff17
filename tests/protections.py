# SPDX-License-Identifier: Apache-2.0
"""Take each protection of SECURITY.md out of the formula, one at a time, and see its tests fail: ``make unprotected``.

A test that passes without what it is there for shows nothing. Each protection is taken out of a copy of the checkout.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.checkout import ROOT

AT_ONCE = 2

# Where what is taken out stands: its file is found by it.
FORMULA = ("_modules", "_states", "_utils", "pillar", "postfix_smarthost")

_HOSTILE = "tests/lab/test_hostile_relays.py::test_message_waits_with_a_reason_and_no_password_is_sent"
_SECRETS = "tests/lab/test_secrets.py::test_password"
_SENDERS = "tests/lab/test_senders.py::test"
_PRIVACY = "tests/lab/test_privacy.py::test_arriving_message_holds_nothing_of_the_qube"
_OF_FROM = "tests/lab/test_account_of_from.py::test"
_OWN_NAMES = "tests/lab/test_own_names.py::test"
_REPORTS = "tests/lab/test_reports.py::test_user_is_told_whatever_the_sender_is"
_PASSWORDS = "tests/lab/test_passwords.py::test_password"
_REQUESTS = "tests/lab/test_requests_of_messages.py::test"
_SHARED = "tests/lab/test_accounts_of_one_relay.py::test"
_TROUBLE = "tests/lab/test_relay_trouble.py::test"
_WAYS = "tests/lab/test_ways_to_log_in.py::test"
_PORTS = "tests/lab/test_port_reuse.py::test"
_SUBMISSION = "tests/lab/test_submission.py::test"
_UNIT = "tests/unit/test_smarthost_pillar.py::test"


@dataclass(frozen=True)
class Protection:
    """A protection, and how to take it out.

    Args:
        what: it is, in a few words.
        test: what has to fail without it, as pytest names it.
        edits: what stands once in the formula, however it is laid out, and what is put in its place.

    """

    what: str
    test: str
    edits: tuple[tuple[str, str], ...]


def _p(what: str, test: str, *edits: tuple[str, str]) -> Protection:
    return Protection(what, test, edits)


_FILTER = '"smtp_sasl_mechanism_filter": _MECHANISMS'
_LEVEL = '"smtp_tls_security_level": "secure"'
_SMTP_SERVICE = ("smtp-starttls  unix", "smtp           unix  -  -  n  -  -  smtp\nsmtp-starttls  unix")

PROTECTIONS = (
    # Hostile relays
    _p(
        "level secure: a certificate is verified",
        f"{_HOSTILE}[self-signed]",
        (_LEVEL, '"smtp_tls_security_level": "encrypt"'),
    ),
    _p(
        # In the lab the fixture, which waits for each port, ends in an error without it, and that is no failure.
        "level secure: TLS has to be offered",
        "tests/unit/test_smarthost_plan.py::test_a_password_is_sent_only_over_verified_tls",
        (_LEVEL, '"smtp_tls_security_level": "may"'),
    ),
    _p(
        "smtp_tls_secure_cert_match",
        f"{_HOSTILE}[name below]",
        ('"smtp_tls_secure_cert_match": "nexthop",', ""),
    ),
    _p(
        "smtp_tls_wrappermode",
        f"{_HOSTILE}[clear text where TLS is implicit]",
        ("=postfix/smtp-implicit\n    -o smtp_tls_wrappermode=yes\n", "=postfix/smtp-implicit\n"),
    ),
    _p(
        "smtp_sasl_mechanism_filter",
        f"{_HOSTILE}[weak mechanisms only]",
        (_FILTER, '"smtp_sasl_mechanism_filter": "static:all"'),
    ),
    _p(
        "smtp_sasl_mechanism_filter: plugins",
        "tests/lab/test_mechanisms.py::test_password_account_logs_in_by_its_password[LOGIN PLAIN XOAUTH2]",
        (_FILTER, '"smtp_sasl_mechanism_filter": "!gssapi, !gs2-krb5, !ntlm, !digest-md5, static:all"'),
    ),
    _p(
        "servername",
        "tests/lab/test_relay_names.py::test_certificate_of_the_relay_s_name_is_asked_for[SMTP.sni.test-587-yes]",
        ("words.append(f\"servername={account['relay']}\")", "pass"),
    ),
    _p(
        "tls_required_enable",
        f"{_REQUESTS}_message_that_waives_tls_waits_for_a_verified_relay_all_the_same",
        ('"tls_required_enable": "no"', '"tls_required_enable": "yes"'),
    ),
    _p(
        "smtp_discard_ehlo_keywords",
        f"{_REQUESTS}_relay_that_offers_reports_is_told_no_name_from_inside",
        ('"dsn, silent-discard${tls_required_enable?}"', '"silent-discard${tls_required_enable?}"'),
    ),
    _p(
        "a next hop for each account",
        f"{_SHARED}_trouble_of_one_account_leaves_the_others_of_its_relay_flowing[535]",
        ("{'0' * (seen.get(place, 0) % _MOST_ZEROS)}", ""),
    ),
    _p(
        "default_destination_concurrency_limit",
        f"{_SHARED}_relay_that_hangs_takes_two_processes_and_no_more",
        ('"default_destination_concurrency_limit": "2",', ""),
        ('"initial_destination_concurrency": "2",', ""),
    ),
    _p(
        "a private CA is trusted for its relay",
        f"{_WAYS}_private_ca_vouches_for_its_relay_and_for_no_other[587]",
        ('words.append(f"tafile={ca_file}")', "pass"),
    ),
    _p(
        "clear text is for loopback",
        f"{_WAYS}_clear_text_is_for_addresses_of_loopback_only[10.138.0.1]",
        ("not is_loopback(relay)", "not relay"),
    ),
    _p(
        "smtp_bind_address",
        f"{_WAYS}_clear_text_gets_to_no_other_host_whatever_the_tables_say",
        (
            "-o smtp_sasl_security_options=noanonymous\n    -o smtp_bind_address=127.0.0.1\n",
            "-o smtp_sasl_security_options=noanonymous\n",
        ),
    ),
    _p(
        "an account without a login is one that says so",
        f"{_WAYS}_account_whose_password_is_missing_is_none_without_a_login",
        ('(_WITHOUT_LOGIN if account["auth"] == "none" else "")', "_WITHOUT_LOGIN"),
    ),
    _p(
        "smtp_delivery_status_filter: what Postfix says itself",
        f"{_TROUBLE}_trouble_with_the_relay_waits_with_a_reason[no such name]",
        (r"/^5(\\.(3\\.0|4\\.[346]|5\\.0) .*)/ 4$1", r"/^5(\\.(9\\.9) .*)/ 4$1"),
    ),
    _p(
        "smtp_delivery_status_filter",
        f"{_HOSTILE}[no AUTH]",
        ("said: ([^5]|53[0458][ -]).*)/ 4$1", "said: ([^5]).*)/ 4$1"),
    ),
    _p(
        "policy fingerprint",
        "tests/lab/test_hostile_relays.py::test_pinned_fingerprint_lets_a_private_relay_in_and_only_that_key",
        ('words = ["fingerprint", "match=" + "|".join(account["fingerprints"])]', 'words = ["encrypt"]'),
    ),
    _p(
        "fail: behind the table of passwords",
        f"{_SECRETS}_that_is_missing_in_the_table_keeps_the_message_from_leaving_without_a_login",
        ("{table('saslpass')}, {_BACKSTOP}", "{table('saslpass')}"),
    ),
    # Senders
    _p(
        "default_transport, and no service smtp",
        f"{_SENDERS}_sendmail_by_no_account_leaves_nothing[stranger@c.test]",
        ('"default_transport": f"{UNLISTED}:"', '"default_transport": "smtp:"'),
        _SMTP_SERVICE,
    ),
    _p(
        "smtpd_relay_restrictions",
        f"{_SENDERS}_smtp_by_no_account_is_refused[stranger@c.test]",
        ("check_sender_access {sender_access}, permit_auth_destination,", "permit_mynetworks,"),
    ),
    _p(
        "the row <>",
        "tests/lab/test_core.py::test_unlisted_sender_bounces_into_the_users_maildir",
        (', "<>": f"{REPORTS}:{HOST_NAME}"', ""),
    ),
    _p(
        "the rows of local senders",
        "tests/lab/test_core.py::test_local_sender_leaves_through_the_default_account",
        ("**routes([local]), ", ""),
        ("logins([*accounts, local])", "logins(accounts)"),
        ("rows['sender_relay'][_LOCAL_SENDERS]}", "0}"),
        ('rows["sender_relay"][_LOCAL_SENDERS])', "'')"),
    ),
    _p(
        "sender_canonical_maps",
        f"{_OWN_NAMES}_own_sender_leaves_by_the_default_account[user@my-secret-qube-sendmail]",
        ('"sender_canonical_maps": table("sender_canonical", "regexp"),', ""),
    ),
    _p(
        "strange_senders: outside ASCII",
        "tests/lab/test_reports.py::test_sender_outside_ascii_is_not_folded_into_an_account",
        ('"[^!-~]", ', ""),
    ),
    _p(
        "strange_senders: a part that is an account's",
        f'{_REPORTS}["bob@b.test"@[127.0.0.1]]',
        ('"@\\\\[", "@.*@", \'["<>].*@\'', ""),
    ),
    _p(
        "reports that cannot be delivered",
        f"{_REPORTS}[monit@127.0.0.1]",
        ('"2bounce_notice_recipient": record["user"],', ""),
    ),
    _p(
        "a recipient without a dot",
        f"{_OWN_NAMES}_recipient_without_a_dot_is_told_to_the_user[gmail]",
        ('"transport_maps": table("recipients", "regexp"),', '"transport_maps": "",'),
    ),
    _p(
        "submit-milter: the account of From",
        f"{_OF_FROM}_program_that_names_no_sender_has_the_account_of_its_from[sendmail -t]",
        ('"non_smtpd_milters": "unix:private/submit-milter",', ""),
    ),
    _p(
        "submit-milter: the account of From, by SMTP",
        f"{_OF_FROM}_by_smtp_a_local_sender_has_the_account_of_its_from",
        ('"smtpd_milters": "unix:private/submit-milter",', ""),
    ),
    _p(
        "submit-milter: the null sender",
        f"{_OF_FROM}_from_as_it_is_written[<>-no From]",
        ("if not self.sender and (not addresses or", "if False and (not addresses or"),
    ),
    _p(
        "submit-milter: what is passed on",
        "tests/lab/test_passed_on.py::test_signature_of_a_bounced_message_stays_valid[programs-simple/simple]",
        ("self._keep_signature() if self.is_passed_on(names) else []", "[]"),
    ),
    _p(
        "submit-milter: what is written here",
        f"{_OWN_NAMES}_own_names_do_not_leave[passed on by this qube alone-sendmail]",
        ("if self.is_passed_on(names) else []", "if True else []"),
    ),
    _p(
        "recipient_delimiter",
        "tests/lab/test_whole_domains.py::"
        "test_sender_has_the_account_that_claims_it_most_closely[alice+x@a.test--f]",
        ('"recipient_delimiter": "+"', '"recipient_delimiter": ""'),
    ),
    _p(
        "smtp_sender_dependent_authentication",
        "tests/lab/test_core.py::test_untouched_template_and_qube_to_mail_and_again_after_restart",
        ('"smtp_sender_dependent_authentication": "yes",', ""),
    ),
    _p(
        "authorized_submit_users",
        f"{_SENDERS}_other_local_user_cannot_hand_mail_in[www-data]",
        ('"authorized_submit_users": users', '"authorized_submit_users": "static:anyone"'),
    ),
    _p(
        "submit-policy",
        f"{_SENDERS}_other_local_user_cannot_hand_mail_in[other]",
        ("check_policy_service unix:private/submit-policy, ", ""),
    ),
    _p(
        "submit-policy takes no closed connection",
        f"{_PORTS}_connection_that_its_process_has_left_counts_for_nobody[closes-BDAT]",
        (" if state == ESTABLISHED and inode", ""),
    ),
    _p(
        "submit-policy looks at addresses",
        "tests/unit/test_submit_policy.py::test_connection_that_is_not_there_is_nobody_s",
        ("found = [asked(client, server)]", "raise OSError"),
        (
            "if local in locals_ and remote in remotes:",
            "if local[-4:] in {end[-4:] for end in locals_} and remote[-4:] in {end[-4:] for end in remotes}:",
        ),
    ),
    _p(
        "smtpd_delay_reject",
        f"{_PORTS}_port_that_becomes_the_user_s_while_the_policy_is_asked_counts_for_nobody[BDAT-in turn-yes]",
        ('"smtpd_delay_reject": "no",', '"smtpd_delay_reject": "yes",'),
    ),
    _p(
        "reject_unauth_pipelining",
        f"{_PORTS}_port_that_becomes_the_user_s_while_the_policy_is_asked_counts_for_nobody[BDAT-at once-no]",
        (", reject_unauth_pipelining", ""),
    ),
    _p(
        "521 ends the session",
        f"{_SUBMISSION}_connections_of_another_user_are_closed_and_hold_no_services",
        ('f"521 5.7.1 {others}', 'f"550 5.7.1 {others}'),
    ),
    _p(
        "the number of SMTP services",
        f"{_SUBMISSION}_apply_gets_through_while_the_user_s_own_connections_take_all_services",
        ("n  -     10  smtpd", "n  -      -  smtpd"),
    ),
    _p(
        "a service for applies alone",
        f"{_SUBMISSION}_apply_gets_through_while_the_user_s_own_connections_take_all_services",
        (
            'ehlo_msg = "ehlo"',
            'ehlo_msg = "ehlo"\n\n    def connect(self, host="", port=0, source_address=None): '
            'return smtplib.SMTP.connect(self, "127.0.0.1", 25)',
        ),
    ),
    _p(
        "submit-policy runs as the user",
        f"{_SENDERS}_process_that_tells_who_may_is_the_user_s_own",
        (
            "    user={user} argv=/usr/bin/python3 -IS /etc/postfix/submit-policy",
            "    user=nobody argv=/usr/bin/python3 -IS /etc/postfix/submit-policy",
        ),
    ),
    _p(
        "authorized_mailq_users",
        f"{_SENDERS}_cron_mail_of_root_is_local_and_mail_queue_is_private",
        ('"authorized_mailq_users": users', '"authorized_mailq_users": "static:anyone"'),
    ),
    _p(
        "inet_interfaces",
        "tests/lab/test_core.py::test_listener_is_on_loopback_only",
        ('"inet_interfaces": "loopback-only"', '"inet_interfaces": "all"'),
    ),
    # Privacy
    _p(
        "myhostname",
        f"{_PRIVACY}[plain-sendmail]",
        ('"myhostname": HOST_NAME', '"myhostname": f"{facts.hostname}.localdomain"'),
    ),
    _p("smtp_helo_name", f"{_PRIVACY}[plain-sendmail]", ('"smtp_helo_name": "[127.0.0.1]",', "")),
    _p(
        "smtp_header_checks: Received",
        f"{_PRIVACY}[plain-sendmail]",
        ("by {here}[[:space:]]/ IGNORE", "by {here}[[:space:]]/ DUNNO"),
    ),
    _p(
        "smtp_header_checks: User-Agent",
        f"{_PRIVACY}[short host name-sendmail]",
        ("({_PROGRAM}):/ IGNORE", "({_PROGRAM}):/ DUNNO"),
    ),
    _p(
        "smtp_header_checks: Message-ID",
        f"{_PRIVACY}[reply-smtp]",
        ("most=5", "most=0"),
    ),
    _p(
        "smtp_generic_maps",
        f"{_PRIVACY}[local addresses-sendmail]",
        ('"smtp_generic_maps": table("smtp_generic", "regexp"),', ""),
    ),
    _p(
        "smtp_header_checks: Delivered-To",
        f"{_PRIVACY}[fetched before-sendmail]",
        ("([^@]*|{inside})[[:space:]]*$/ IGNORE", "([^@]*|{inside})[[:space:]]*$/ DUNNO"),
    ),
    _p(
        "smtp_header_checks: the name of root",
        "tests/lab/test_privacy.py::test_name_of_root_does_not_leave",
        ("most=2", "most=0"),
    ),
    _p(
        "names of clones",
        "tests/lab/test_privacy.py::test_whatever_the_qube_is_called_its_name_does_not_leave[clone]",
        ("hold_foreign_mail\nknow_names\n", "hold_foreign_mail\n"),
    ),
    _p(
        "names with a dot",
        "tests/lab/test_privacy.py::test_whatever_the_qube_is_called_its_name_does_not_leave[dotted]",
        (
            'return _names([name for name in names if name not in ("localhost", HOST_NAME)], _ANY_END)',
            "return _names([], _ANY_END)",
        ),
    ),
    _p(
        "forward_path",
        "tests/lab/test_privacy.py::test_mail_is_not_forwarded_by_a_file_in_a_home",
        ('            "forward_path": "",\n', ""),
    ),
    # Secrets on disk and in output
    _p(
        "mode of the tables",
        "tests/lab/test_core.py::test_password_is_in_no_output_log_process_or_open_file",
        ("mode=0o600, rows=table", "mode=0o644, rows=table"),
    ),
    _p(
        "mode of the compiled tables",
        "tests/lab/test_core.py::test_password_is_in_no_output_log_process_or_open_file",
        ("os.fchmod(descriptor, like.st_mode & 0o666)", "os.fchmod(descriptor, 0o644)"),
    ),
    _p(
        "fixed words for what postmap(1) says",
        f"{_SECRETS}_is_in_no_output_of_a_run_that_fails",
        (
            'next(told, "a problem that is not told here because the text might hold a value")',
            "text",
        ),
    ),
    _p(
        "staging goes when an apply fails",
        f"{_SECRETS}_is_in_no_output_of_a_run_that_fails",
        ("    finally:\n        remove(self._config_dir, STAGING)\n", "    finally:\n"),
    ),
    _p(
        "staging goes at boot",
        "tests/lab/test_secrets.py::"
        "test_run_that_is_killed_leaves_a_password_to_root_alone_and_the_next_one_takes_it_away",
        ('"$config/staging" "$queue.new"', '"$queue.new"'),
    ),
    _p(
        "staging is root's alone",
        "tests/lab/test_secrets.py::"
        "test_run_that_is_killed_leaves_a_password_to_root_alone_and_the_next_one_takes_it_away",
        ("os.mkdir(staging, 0o700)", "os.mkdir(staging, 0o755)"),
        ("mode=0o600, rows=table", "mode=0o644, rows=table"),
    ),
    _p(
        "old tables go",
        f"{_SECRETS}_of_a_removed_account_is_nowhere_on_the_disk[hash]",
        ("    remove(self._config_dir, *smarthost_disk.leftovers(self._config_dir, self._new))\n", ""),
    ),
    _p(
        "a table is built anew",
        "tests/functional/test_postmap_build.py::test_old_values_leave_the_disk",
        (
            '        process = run("postalias"',
            "        if os.path.exists(target):\n"
            "            shutil.copyfile(target, copy + _SUFFIXES[kind])\n"
            '        process = run("postalias"',
        ),
    ),
    _p(
        "a qube's own entry only",
        "tests/lab/test_secrets.py::test_two_qubes_know_nothing_of_each_other",
        (
            'return {"postfix_smarthost": record}',
            'return {"postfix_smarthost": record, "all": {n: _encode_passwords(e) for n, e in entries.items()}}',
        ),
    ),
    _p(
        "mode of qubes.yaml",
        "tests/functional/test_pillar.py::test_file_that_others_could_read_or_write_is_refused",
        ("            _check_private(os.fstat(file.fileno()))\n", ""),
    ),
    _p(
        "errors of qubes.yaml quote nothing",
        "tests/functional/test_pillar.py::test_broken_file_gives_one_sentence",
        ("near line {mark.line + 1}, column {mark.column + 1}, it", "{error} it"),
    ),
    _p(
        "a template with accounts is refused",
        "tests/lab/test_core.py::test_template_with_accounts_is_refused_and_keeps_none",
        ('type == "template" and "postfix_smarthost" in pillar', "false"),
    ),
    _p(
        "dom0 sends no accounts to a template",
        "tests/functional/test_pillar_of_a_template.py::test_a_template_gets_a_sentence",
        ("if _is_template(qube):", "if False:"),
    ),
    # Local mail
    _p(
        "procmail is not set-uid in a template",
        "tests/lab/test_template_side.py::test_no_other_user_hands_mail_in_by_procmail",
        ("dpkg_overrides.take_set_id(name)", "dpkg_overrides.remove(name, wanted._replace(mode=0o6755))"),
    ),
    _p(
        "procmail has a maildir to fall back to",
        "tests/lab/test_sorting_fails.py::test_no_failure_loses_mail[the rules cannot be read]",
        ('DEFAULT="$maildir/" ORGMAIL="$maildir/" ', ""),
    ),
    _p(
        "what procmail leaves is delivered",
        "tests/lab/test_sorting_fails.py::test_no_failure_loses_mail[procmail is killed]",
        ("if [ $status = 75 ] ||", "if true ||"),
    ),
    _p(
        "what procmail has not read is delivered",
        "tests/lab/test_sorting_fails.py::test_no_failure_loses_mail[procmail is an empty file]",
        ("&& ! read -r rest <&3 ", ""),
    ),
    _p(
        "mail waits while what sorts it is not there",
        "tests/lab/test_sorting_fails.py::test_no_failure_loses_mail[the directory of the rules cannot be searched]",
        ('"$EXTENSION" || exit 75', '"$EXTENSION"'),
    ),
    _p(
        "what an alias sends on leaves by the default account",
        "tests/lab/test_aliases.py::test_mail_to_an_alias_that_leads_out[fetched]",
        ("    -o cleanup_service_name=forwarded\n", ""),
    ),
    # Passwords of any shape
    _p(
        "base64 and raw blocks, of which either alone would do",
        f"{_PASSWORDS}_of_any_shape_logs_in_at_its_relay",
        (
            'isinstance(account, dict) or "password_base64" in account',
            "isinstance(account, str) or True",
        ),
        (r'JINJA_MARK.sub(r"{%raw%}\g<0>{%endraw%}", value)', "value"),
    ),
    _p(
        "line breaks are refused",
        f"{_PASSWORDS}_that_cannot_be_held_or_seen_is_refused_in_a_sentence",
        ('re.search(r"[\\n\\r\\0]", value)', 're.search(r"[\\r\\0]", value)'),
    ),
    _p(
        "white space at the end is refused",
        f"{_PASSWORDS}_that_cannot_be_held_or_seen_is_refused_in_a_sentence",
        ('value[-1] in " \\t\\v\\f"', 'value[-1] in "\\v\\f"'),
    ),
    _p(
        "characters that cannot be seen are refused",
        "tests/unit/test_invisible_characters.py::test_place_is_told",
        ("if odd := odd_characters(value):", 'if odd := "":'),
    ),
    _p(
        "typographic quotation marks are refused",
        "tests/unit/test_invisible_characters.py::test_ends_quotes_and_look_alikes",
        ("if in_typographic_quotes(value):", "if not value:"),
    ),
    _p(
        "an unknown key is not shown",
        "tests/unit/test_schema.py::test_an_unknown_key_is_told_by_the_nearest_one_and_never_shown[account]",
        ('f"{where} has an unknown key{which}: "', 'f"{where} has an unknown key {text}{which}: "'),
    ),
    _p(
        "copies of what was made by hand are root's",
        "tests/unit/test_kept_copies.py::test_copies_are_never_open_to_others",
        (
            "copy), read(path), 0o600)",
            "copy), read(path), 0o644)",
        ),
    ),
    # Injection
    _p(
        "raw blocks around Jinja marks of other texts",
        "tests/functional/test_pillar.py::test_any_text_arrives_as_it_was_written",
        (r'JINJA_MARK.sub(r"{%raw%}\g<0>{%endraw%}", value)', "value"),
    ),
    _p(
        "control characters in a user name are refused",
        f"{_UNIT}_a_malformed_pillar",
        ('re.search(r"[\\x00-\\x1f\\x7f]", value)', "False"),
        ('raise Wrong(f" holds {odd}, which', 'return (f" holds {odd}, which'),
    ),
    _p(
        "what a host name may be",
        f"{_UNIT}_a_malformed_pillar",
        ("not _HOST.fullmatch(text)", "not text.strip()"),
    ),
    _p(
        "what a folder may be",
        f"{_UNIT}_a_malformed_pillar",
        (
            "not _FOLDER.fullmatch(text)",
            "not text",
        ),
    ),
    _p(
        "what a list may be",
        f"{_UNIT}_a_malformed_pillar",
        (
            "match = _LIST_ID.fullmatch(text)",
            'match = re.match("(.*)", text)',
        ),
    ),
    _p(
        "what a user may be",
        f"{_UNIT}_a_malformed_pillar",
        (
            'isinstance(value, str) and _USER.fullmatch(value) and value != "root"',
            "isinstance(value, str)",
        ),
    ),
    # Free-form settings
    _p(
        "settings that are not on the list are refused",
        f"{_UNIT}_what_the_plan_writes_may_not_be_undone",
        (
            " smtp_skip_quit_response smtp_tls",
            " authorized_submit_users smtp_skip_quit_response smtp_tls",
        ),
    ),
    _p(
        "a value is of its parameter's range",
        "tests/unit/test_settings.py::test_a_value_of_its_parameter_s_type",
        ('_choice("0", "1", "2")', '_choice("0", "1", "2", "3", "4")'),
    ),
    _p(
        "the least that a setting may be",
        "tests/unit/test_settings.py::test_both_ends_are_taken_and_one_step_beyond_is_not",
        ("return least <= amount <= most or", "return amount <= most or"),
    ),
    _p(
        "the most that a setting may be",
        "tests/unit/test_settings.py::test_both_ends_are_taken_and_one_step_beyond_is_not",
        ("return least <= amount <= most or", "return least <= amount or"),
    ),
)


def places(old: str, place: Path = ROOT) -> list[tuple[Path, re.Match[str]]]:
    """Return where a text stands in the formula, whatever white space and trailing commas a formatter has put in."""
    words = (re.escape(word) for word in re.findall(r"\w+|[^\w\s]", old))
    pattern = re.compile(r"\s*".join(r",?\s*" + word if word in (r"\)", r"\]") else word for word in words))
    files = (file for name in FORMULA for file in sorted((place / name).rglob("*")) if file.is_file())
    texts = ((file, file.read_text(encoding="utf-8")) for file in files if file.suffix != ".pyc")
    return [(file, found) for file, text in texts for found in pattern.finditer(text)]


def _take_out(protection: Protection, place: Path) -> None:
    for old, new in protection.edits:
        found = places(old, place)
        if len(found) != 1:
            raise ValueError(f"{protection.what}: {old!r} stands {len(found)} times")
        file, where = found[0]
        text = where.string
        file.write_text(text[: where.start()] + new.strip() + text[where.end() :], encoding="utf-8")


def fails_without(protection: Protection) -> tuple[bool, str]:
    """Return whether the test of a protection fails without it, and what pytest said last.

    A test that could not begin has not failed: no error in a fixture counts.
    """
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "checkout"
        ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__")
        shutil.copytree(ROOT, place, ignore=ignored)
        _take_out(protection, place)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", protection.test]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    said = next((line for line in reversed(done.stdout.splitlines()) if line), done.stderr)
    return done.returncode == 1 and bool(re.search(r"\d+ failed", said)) and "error" not in said, said


def main() -> int:
    """Print what became of each protection whose name holds the words given, of all without any."""
    words = " ".join(sys.argv[1:])
    chosen = [protection for protection in PROTECTIONS if words in protection.what]
    survived = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for protection, (failed, said) in zip(chosen, pool.map(fails_without, chosen), strict=True):
            survived += not failed
            print(f"{'seen to fail' if failed else 'NOT SEEN'}: {protection.what}: {said}", flush=True)
    print(f"{len(chosen) - survived} passed, {survived} failed")
    return survived != 0


if __name__ == "__main__":
    sys.exit(main())
