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

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 2

# Where what is taken out stands: its file is found by it.
FORMULA = ("_modules", "_states", "_utils", "pillar", "postfix_smarthost")

_HOSTILE = "tests/lab/test_hostile_relays.py::test_message_waits_with_a_reason_and_no_password_is_sent"
_SECRETS = "tests/lab/test_secrets.py::test_password"
_SENDERS = "tests/lab/test_senders.py::test"
_PRIVACY = "tests/lab/test_privacy.py::test_arriving_message_holds_nothing_of_the_qube"
_PASSWORDS = "tests/lab/test_passwords.py::test_password"
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
        ("    -o smtp_tls_wrappermode=yes\n", ""),
    ),
    _p(
        "smtp_sasl_mechanism_filter",
        f"{_HOSTILE}[weak mechanisms only]",
        ('"!gssapi, !gs2-krb5, !ntlm, !digest-md5, static:all"', '"static:all"'),
    ),
    _p(
        "smtp_delivery_status_filter",
        f"{_HOSTILE}[no AUTH]",
        ('said: 530[ -].*)/ 4$1\\n"', 'said: 999[ -].*)/ 4$1\\n"'),
    ),
    _p(
        "policy fingerprint",
        "tests/lab/test_hostile_relays.py::test_pinned_fingerprint_lets_a_private_relay_in_and_only_that_key",
        ('"fingerprint match=" + "|".join(account["fingerprints"])', '"encrypt"'),
    ),
    _p(
        "fail: behind the table of passwords",
        f"{_SECRETS}_that_is_missing_in_the_table_keeps_the_message_from_leaving_without_a_login",
        (", fail:no_password", ""),
    ),
    # Senders
    _p(
        "default_transport, and no service smtp",
        f"{_SENDERS}_sendmail_by_no_account_leaves_nothing[stranger@c.test]",
        ('"default_transport": f"error:{_UNLISTED}"', '"default_transport": "smtp:"'),
        _SMTP_SERVICE,
    ),
    _p(
        "smtpd_relay_restrictions",
        f"{_SENDERS}_smtp_by_no_account_is_refused[stranger@c.test]",
        (
            "check_sender_access {table('sender_access')}, reject_unauth_destination",
            "permit_mynetworks",
        ),
    ),
    _p(
        "the row <>",
        "tests/lab/test_core.py::test_unlisted_sender_bounces_into_the_users_maildir",
        ('            "<>": f"{REPORTS}:{HOST_NAME}",\n', ""),
    ),
    _p(
        "sender_canonical_maps",
        "tests/lab/test_core.py::test_local_sender_leaves_through_the_default_account",
        ('"sender_canonical_maps": table("sender_canonical"),', ""),
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
        ('"check_policy_service unix:private/submit-policy"', '""'),
    ),
    _p(
        "submit-policy takes no closed connection",
        f"{_SENDERS}_connection_that_its_process_has_left_counts_for_nobody",
        (' and state == ESTABLISHED and inode != "0"', ""),
    ),
    _p(
        "submit-policy looks at addresses",
        f"{_SENDERS}_connection_from_the_same_port_of_another_address_counts_for_nobody_else[user-other-550]",
        (
            "if local in client and remote in server",
            'if local[-4:] in {end[-4:] for end in client} and remote[-4:] == "0019"',
        ),
    ),
    _p(
        "submit-policy runs as the user",
        f"{_SENDERS}_process_that_tells_who_may_is_the_user_s_own",
        ("    user={user} argv=", "    user=nobody argv="),
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
        ("by {inside}[[:space:]]/ IGNORE", "by {inside}[[:space:]]/ DUNNO"),
    ),
    _p(
        "smtp_header_checks: User-Agent",
        f"{_PRIVACY}[short host name-sendmail]",
        ("X-X-Sender):/ IGNORE", "X-X-Sender):/ DUNNO"),
    ),
    _p(
        "smtp_header_checks: Message-ID",
        f"{_PRIVACY}[reply-smtp]",
        ("for count in range(5, 0, -1):", "for count in range(0):"),
    ),
    _p(
        "smtp_generic_maps",
        f"{_PRIVACY}[local addresses-sendmail]",
        ('"smtp_generic_maps": table("smtp_generic", "regexp"),', ""),
    ),
    _p(
        "smtp_header_checks: Delivered-To",
        f"{_PRIVACY}[fetched before-sendmail]",
        ("(Delivered-To|X-Original-To):/ IGNORE", "(Delivered-To|X-Original-To):/ DUNNO"),
    ),
    _p(
        "smtp_header_checks: the name of root",
        "tests/lab/test_privacy.py::test_name_of_root_does_not_leave",
        ("(<.*)/ REPLACE From: $2", "(<.*)/ DUNNO"),
    ),
    _p(
        "names of clones",
        "tests/lab/test_privacy.py::test_whatever_the_qube_is_called_its_name_does_not_leave[clone]",
        ('"([^@.>[:space:]]+(', '"(my-mail('),
    ),
    _p(
        "names with a dot",
        "tests/lab/test_privacy.py::test_whatever_the_qube_is_called_its_name_does_not_leave[dotted]",
        ('own = f"|{literal(hostname)}" if "." in hostname else ""', 'own = ""'),
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
        (
            'os.fchmod(descriptor, like.st_mode & (0o600 if alias and built.endswith(".db") else 0o666))',
            "os.fchmod(descriptor, 0o644)",
        ),
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
        "tests/functional/test_postmap.py::test_old_values_leave_the_disk",
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
        ('type == "template" and accounts is mapping', "false"),
    ),
    # The queue, its copies and locks
    _p(
        "a lock that root alone can take",
        "tests/lab/test_locks.py::test_an_apply_and_a_cleaning_wait_for_nobody",
        ('return os.path.join(self.state_dir, "lock")', 'return self._at("usr/local/etc/lock")'),
        ("os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600", "os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644"),
    ),
    _p(
        "a table of aliases that root alone can lock",
        "tests/lab/test_locks.py::test_local_mail_waits_for_nobody",
        ("\tguard_aliases\n\tcompile_tables\n", "\tcompile_tables\n"),
    ),
    _p(
        "mail that is brought in is private",
        "tests/lab/test_held_mail.py::test_what_is_brought_in_is_private",
        ('mkdir -m 0700 "$queue/beneath"', 'mkdir -m 0755 "$queue/beneath"'),
    ),
    _p(
        "a clone takes into hold what nothing has looked at",
        "tests/lab/test_held_mail.py::test_held_mail_is_sent_whichever_way_it_is_released[-H ALL]",
        ('if [ "$(in_maildrop -print -quit)" ]; then', "if false; then"),
        ('-exec mv -t "$queue/corrupt" {} +', '-exec mv -t "$queue/hold" {} +'),
    ),
    _p(
        "only Postfix's own words count",
        "tests/functional/test_uplink_reasons.py::test_what_waits_for_something_else_is_left_alone",
        (
            r'reason="\"delay_reason\": \"(delivery temporarily suspended: )?($unreached)"',
            'reason="($unreached)"',
        ),
    ),
    _p(
        "a relay that answers is asked for by its own messages only",
        "tests/lab/test_uplink_watch.py::test_port_that_is_closed_makes_no_login_of_another_account",
        ("\tpostkick public qmgr FD", "\tpostqueue -f"),
        ('\t[ -z "${ids[*]}" ] || retry', "\tretry"),
    ),
    _p(
        "tries that bring nothing come later and later",
        "tests/lab/test_uplink_watch.py::test_tries_that_bring_nothing_come_later_and_later",
        ("due[$sender]=$((now + last[$sender]))", "due[$sender]=0"),
    ),
    _p(
        "a relay has to answer as itself",
        "tests/lab/test_networks.py::test_what_waits_leaves_when_the_network_is_right[captive portal with TLS]",
        ("*) [[ $word = *'Verified TLS connection established to '* ]] ;;", "*) true ;;"),
    ),
    _p(
        "smtp(8) follows the resolver's configuration",
        "tests/lab/test_networks.py::test_what_waits_leaves_when_the_network_is_right[no name servers yet]",
        ("\t\tfollow_resolver\n\t\ttry_again\n", "try_again"),
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
        f"{_PASSWORDS}_that_postfix_cannot_hold_is_refused_in_a_sentence",
        ('re.search(r"[\\n\\r\\0]", value)', 're.search(r"[\\r\\0]", value)'),
    ),
    _p(
        "white space at the end is refused",
        f"{_PASSWORDS}_that_postfix_cannot_hold_is_refused_in_a_sentence",
        ('value[-1] in " \\t\\v\\f"', 'value[-1] in "\\v\\f"'),
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
        ("value != value.strip() or _CONTROL.search(value)", "value != value.strip()"),
    ),
    _p(
        "what a host name may be",
        f"{_UNIT}_a_malformed_pillar",
        ("elif not _HOST.fullmatch(value):", "elif not value.strip():"),
    ),
    _p(
        "what a folder may be",
        f"{_UNIT}_a_malformed_pillar",
        (
            "not isinstance(value, str) or not _FOLDER.fullmatch(value)",
            "not isinstance(value, str)",
        ),
    ),
    _p(
        "what a list may be",
        f"{_UNIT}_a_malformed_pillar",
        (
            "not isinstance(list_id, str) or not _LIST_ID.fullmatch(list_id)",
            "not isinstance(list_id, str)",
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
        f"{_UNIT}_a_value_of_its_parameter_s_type",
        ('r"[0-2]",', 'r"[0-4]",'),
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
