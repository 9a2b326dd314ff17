# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md, Local mail."""

from tests.protections.protection import protect

PROTECTIONS = (
    protect(
        "procmail is not set-uid in a template",
        "tests/lab/test_template_side.py::test_no_other_user_hands_mail_in_by_procmail",
        ("dpkg_overrides.take_set_id(name)", "dpkg_overrides.remove(name, wanted._replace(mode=0o6755))"),
    ),
    protect(
        "procmail has a maildir to fall back to",
        "tests/lab/test_sorting_fails.py::test_no_failure_loses_mail[the rules cannot be read]",
        ('DEFAULT="$maildir/" ORGMAIL="$maildir/" ', ""),
    ),
    protect(
        "what procmail leaves is delivered",
        "tests/lab/test_sorting_fails.py::test_no_failure_loses_mail[procmail is killed]",
        ("if [ $status = 75 ] ||", "if true ||"),
    ),
    protect(
        "what procmail has not read is delivered",
        "tests/lab/test_sorting_fails.py::test_no_failure_loses_mail[procmail is an empty file]",
        ("&& ! read -r rest <&3 ", ""),
    ),
    protect(
        "mail waits while what sorts it is not there",
        "tests/lab/test_sorting_fails.py::test_no_failure_loses_mail[the directory of the rules cannot be searched]",
        ('"$EXTENSION" || exit 75', '"$EXTENSION"'),
    ),
    protect(
        "what an alias sends on leaves by the default account",
        "tests/lab/test_aliases.py::test_mail_to_an_alias_that_leads_out[fetched]",
        ("    -o cleanup_service_name=forwarded\n", ""),
    ),
    protect(
        "the user's muttrc is the user's",
        "tests/lab/test_mutt_key.py::test_a_link_stays_one_and_leads_root_nowhere",
        ("    with acting_as(user):\n        used = ", "    if user:\n        used = "),
    ),
    protect(
        "what was in /etc/postfix is kept",
        "tests/lab/test_plain_machine.py::test_what_was_there_before_is_kept_and_given_back",
        ("            smarthost_take_over.keep(self._config_dir, kept_by_hand)\n", ""),
    ),
)
