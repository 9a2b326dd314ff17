# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md and docs/reliability.md: the queue, its copies and locks, and the watch for the uplink."""

from tests.protections.protection import protect

PROTECTIONS = (
    protect(
        "a lock that root alone can take: a file in a directory, of which either alone would do",
        "tests/lab/test_locks.py::test_an_apply_and_a_cleaning_wait_for_nobody",
        ('return os.path.join(self.state_dir, "lock")', 'return self._at("usr/local/etc/lock")'),
        ("os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600", "os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644"),
        (
            "os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)",
            "os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)",
        ),
    ),
    protect(
        "a table of aliases that root alone can lock",
        "tests/functional/test_alias_table_mode.py::test_aliases_of_the_type_hash_are_root_s_alone[hash-384]",
        ('(0o600 if alias and built.endswith(".db") else 0o666)', "0o666"),
    ),
    protect(
        "only mail of root and the user is brought in",
        "tests/lab/test_held_mail.py::test_only_what_root_and_the_user_have_submitted_is_brought_in",
        (r'-perm -u=x \( "${owners[@]}" \) -printf', "-perm -u=x -printf"),
    ),
    protect(
        "mail that is brought in is private",
        "tests/lab/test_held_mail.py::test_what_is_brought_in_is_private",
        ('mkdir -m 0700 "$queue/beneath"', 'mkdir -m 0755 "$queue/beneath"'),
    ),
    protect(
        "a clone takes into hold what nothing has looked at",
        "tests/lab/test_held_mail.py::test_held_mail_is_sent_whichever_way_it_is_released[-H ALL]",
        ('stop_holding\n if [ "$(in_maildrop -print -quit)" ]; then', "stop_holding\n if false; then"),
        ("[ $part != corrupt ] || aside=$queue/corrupt", ""),
    ),
    protect(
        "only Postfix's own words count",
        "tests/functional/test_uplink_reasons.py::test_what_waits_for_something_else_is_left_alone",
        (
            r'reason="\"delay_reason\": \"(delivery temporarily suspended: )?($unreached)"',
            'reason="($unreached)"',
        ),
    ),
    protect(
        "a relay that answers is asked for by its own messages only",
        "tests/lab/test_uplink_watch.py::test_port_that_is_closed_makes_no_login_of_another_account",
        ("\tpostkick public qmgr FD", "\tpostqueue -f"),
        ('\t[ -z "${ids[*]}" ] || retry', "\tretry"),
    ),
    protect(
        "the address of a sender is no script",
        "tests/functional/test_uplink_reasons.py::test_address_of_a_sender_is_never_run",
        ("next[$sender]='' last[$sender]=''", 'unset "next[$sender]" "last[$sender]"'),
    ),
    protect(
        "reports on mail that is held are held too",
        "tests/lab/test_held_mail.py::test_report_on_what_cannot_be_taken_in_is_held_too",
        ("internal_mail_filter_classes = bounce, notify", "internal_mail_filter_classes ="),
        ("for part in incoming active deferred hold corrupt; do", "for part in hold corrupt; do"),
    ),
    protect(
        "tries that bring nothing come later and later",
        "tests/lab/test_uplink_watch.py::test_tries_that_bring_nothing_come_later_and_later",
        ("due[$sender]=$((now + pause))", "due[$sender]=0"),
    ),
    protect(
        "a relay has to answer as itself",
        "tests/lab/test_networks.py::test_what_waits_leaves_when_the_network_is_right[captive portal with TLS]",
        ("*) [[ $word = *'Verified TLS connection established to '* ]] ;;", "*) true ;;"),
    ),
    protect(
        "smtp(8) follows the resolver's configuration",
        "tests/lab/test_networks.py::test_what_waits_leaves_when_the_network_is_right[no name servers yet]",
        ("\t\tfollow_resolver\n\t\ttry_again\n", "try_again"),
    ),
)
