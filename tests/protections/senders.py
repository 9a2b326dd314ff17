# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md, Senders."""

from tests.protections.protection import protect

_SENDERS = "tests/lab/test_senders.py::test"
_OF_FROM = "tests/lab/test_account_of_from.py::test"
_OWN_NAMES = "tests/lab/test_own_names.py::test"
_REPORTS = "tests/lab/test_reports.py::test_user_is_told_whatever_the_sender_is"
_PORTS = "tests/lab/test_port_reuse.py::test"
_SUBMISSION = "tests/lab/test_submission.py::test"
_SMTP_SERVICE = ("smtp-starttls  unix", "smtp           unix  -  -  n  -  -  smtp\nsmtp-starttls  unix")

PROTECTIONS = (
    protect(
        "default_transport, and no service smtp",
        f"{_SENDERS}_sendmail_by_no_account_leaves_nothing[stranger@c.test]",
        ('"default_transport": f"{UNLISTED}:"', '"default_transport": "smtp:"'),
        _SMTP_SERVICE,
    ),
    protect(
        "smtpd_relay_restrictions",
        f"{_SENDERS}_smtp_by_no_account_is_refused[stranger@c.test]",
        ("check_sender_access {sender_access}, permit_auth_destination,", "permit_mynetworks,"),
    ),
    protect(
        "the row <>",
        "tests/lab/test_core.py::test_unlisted_sender_bounces_into_the_users_maildir",
        (', "<>": f"{REPORTS}:{HOST_NAME}"', ""),
    ),
    protect(
        "the rows of local senders",
        "tests/lab/test_core.py::test_local_sender_leaves_through_the_default_account",
        ("**routes([local]), ", ""),
        ("logins([*accounts, local])", "logins(accounts)"),
        ("rows['sender_relay'][_LOCAL_SENDERS]}", "0}"),
        ('rows["sender_relay"][_LOCAL_SENDERS])', "'')"),
    ),
    protect(
        "sender_canonical_maps",
        f"{_OWN_NAMES}_own_sender_leaves_by_the_default_account[user@my-secret-qube-sendmail]",
        ('"sender_canonical_maps": table("sender_canonical", "regexp"),', ""),
    ),
    protect(
        "strange_senders: outside ASCII",
        "tests/lab/test_reports.py::test_sender_outside_ascii_is_not_folded_into_an_account",
        ('"[^!-~]", ', ""),
    ),
    protect(
        "strange_senders: a part that is an account's",
        f'{_REPORTS}["bob@b.test"@[127.0.0.1]]',
        ('"@\\\\[", "@.*@", \'["<>].*@\'', ""),
    ),
    protect(
        "reports that cannot be delivered",
        f"{_REPORTS}[monit@127.0.0.1]",
        ('"2bounce_notice_recipient": record["user"],', ""),
    ),
    protect(
        "a recipient without a dot",
        f"{_OWN_NAMES}_recipient_without_a_dot_is_told_to_the_user[gmail]",
        ('"transport_maps": table("recipients", "regexp"),', '"transport_maps": "",'),
    ),
    protect(
        "submit-milter: the account of From",
        f"{_OF_FROM}_program_that_names_no_sender_has_the_account_of_its_from[sendmail -t]",
        ('"non_smtpd_milters": "unix:private/submit-milter",', ""),
    ),
    protect(
        "submit-milter: the account of From, by SMTP",
        f"{_OF_FROM}_by_smtp_a_local_sender_has_the_account_of_its_from",
        ('"smtpd_milters": "unix:private/submit-milter",', ""),
    ),
    protect(
        "submit-milter: the null sender",
        f"{_OF_FROM}_from_as_it_is_written[<>-no From]",
        ("if not self.sender and (not addresses or", "if False and (not addresses or"),
    ),
    protect(
        "submit-milter: what is passed on",
        "tests/lab/test_passed_on.py::test_signature_of_a_bounced_message_stays_valid[programs-simple/simple]",
        ("self._keep_signature() if self.is_passed_on(names) else []", "[]"),
    ),
    protect(
        "submit-milter: what is written here",
        f"{_OWN_NAMES}_own_names_do_not_leave[passed on by this qube alone-sendmail]",
        ("if self.is_passed_on(names) else []", "if True else []"),
    ),
    protect(
        "recipient_delimiter",
        "tests/lab/test_whole_domains.py::"
        "test_sender_has_the_account_that_claims_it_most_closely[alice+x@a.test--f]",
        ('"recipient_delimiter": "+"', '"recipient_delimiter": ""'),
    ),
    protect(
        "smtp_sender_dependent_authentication",
        "tests/lab/test_core.py::test_untouched_template_and_qube_to_mail_and_again_after_restart",
        ('"smtp_sender_dependent_authentication": "yes",', ""),
    ),
    protect(
        "authorized_submit_users",
        f"{_SENDERS}_other_local_user_cannot_hand_mail_in[www-data]",
        ('"authorized_submit_users": users', '"authorized_submit_users": "static:anyone"'),
    ),
    protect(
        "submit-policy",
        f"{_SENDERS}_other_local_user_cannot_hand_mail_in[other]",
        ("check_policy_service unix:private/submit-policy, ", ""),
    ),
    protect(
        "submit-policy takes no closed connection",
        f"{_PORTS}_connection_that_its_process_has_left_counts_for_nobody[closes-BDAT]",
        (" if state == ESTABLISHED and inode", ""),
    ),
    protect(
        "submit-policy looks at addresses",
        "tests/unit/test_submit_policy.py::test_connection_that_is_not_there_is_nobody_s",
        ("found = [asked(client, server)]", "raise OSError"),
        (
            "if local in locals_ and remote in remotes:",
            "if local[-4:] in {end[-4:] for end in locals_} and remote[-4:] in {end[-4:] for end in remotes}:",
        ),
    ),
    protect(
        "smtpd_delay_reject",
        f"{_PORTS}_port_that_becomes_the_user_s_while_the_policy_is_asked_counts_for_nobody[BDAT-in turn-yes]",
        ('"smtpd_delay_reject": "no",', '"smtpd_delay_reject": "yes",'),
    ),
    protect(
        "reject_unauth_pipelining",
        f"{_PORTS}_port_that_becomes_the_user_s_while_the_policy_is_asked_counts_for_nobody[BDAT-at once-no]",
        (", reject_unauth_pipelining", ""),
    ),
    protect(
        "521 ends the session",
        f"{_SUBMISSION}_connections_of_another_user_are_closed_and_hold_no_services",
        ('f"521 5.7.1 {others}', 'f"550 5.7.1 {others}'),
    ),
    protect(
        "the number of SMTP services",
        f"{_SUBMISSION}_apply_gets_through_while_the_user_s_own_connections_take_all_services",
        ("n  -     10  smtpd", "n  -      -  smtpd"),
    ),
    protect(
        "a service for applies alone",
        f"{_SUBMISSION}_apply_gets_through_while_the_user_s_own_connections_take_all_services",
        (
            'ehlo_msg = "ehlo"',
            'ehlo_msg = "ehlo"\n\n    def connect(self, host="", port=0, source_address=None): '
            'return smtplib.SMTP.connect(self, "127.0.0.1", 25)',
        ),
    ),
    protect(
        "submit-policy runs as the user",
        f"{_SENDERS}_process_that_tells_who_may_is_the_user_s_own",
        (
            "    user={user} argv=/usr/bin/python3 -IS /etc/postfix/submit-policy",
            "    user=nobody argv=/usr/bin/python3 -IS /etc/postfix/submit-policy",
        ),
    ),
    protect(
        "authorized_mailq_users",
        f"{_SENDERS}_cron_mail_of_root_is_local_and_mail_queue_is_private",
        ('"authorized_mailq_users": users', '"authorized_mailq_users": "static:anyone"'),
    ),
    protect(
        "inet_interfaces",
        "tests/lab/test_core.py::test_listener_is_on_loopback_only",
        ('"inet_interfaces": "loopback-only"', '"inet_interfaces": "all"'),
    ),
)
