# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md, Privacy."""

from tests.protections.protection import protect

_PRIVACY = "tests/lab/test_privacy.py::test_arriving_message_holds_nothing_of_the_qube"

PROTECTIONS = (
    protect(
        "myhostname",
        f"{_PRIVACY}[plain-sendmail]",
        ('"myhostname": HOST_NAME', '"myhostname": f"{facts.hostname}.localdomain"'),
    ),
    protect("smtp_helo_name", f"{_PRIVACY}[plain-sendmail]", ('"smtp_helo_name": "[127.0.0.1]",', "")),
    protect(
        "smtp_header_checks: Received",
        f"{_PRIVACY}[plain-sendmail]",
        ("by {here}[[:space:]]/ IGNORE", "by {here}[[:space:]]/ DUNNO"),
    ),
    protect(
        "smtp_header_checks: User-Agent",
        f"{_PRIVACY}[short host name-sendmail]",
        ("({_PROGRAM}):/ IGNORE", "({_PROGRAM}):/ DUNNO"),
    ),
    protect(
        "smtp_header_checks: Message-ID",
        f"{_PRIVACY}[reply-smtp]",
        ("most=5", "most=0"),
    ),
    protect(
        "smtp_generic_maps",
        f"{_PRIVACY}[local addresses-sendmail]",
        ('"smtp_generic_maps": table("smtp_generic", "regexp"),', ""),
    ),
    protect(
        "smtp_header_checks: Delivered-To",
        f"{_PRIVACY}[fetched before-sendmail]",
        ("([^@]*|{inside})[[:space:]]*$/ IGNORE", "([^@]*|{inside})[[:space:]]*$/ DUNNO"),
    ),
    protect(
        "smtp_header_checks: the name of root",
        "tests/lab/test_privacy.py::test_name_of_root_does_not_leave",
        ("most=2", "most=0"),
    ),
    protect(
        "names of clones",
        "tests/lab/test_privacy.py::test_whatever_the_qube_is_called_its_name_does_not_leave[clone]",
        ("find_names\nknow_names\n", "find_names\n"),
    ),
    protect(
        "names with a dot",
        "tests/lab/test_privacy.py::test_whatever_the_qube_is_called_its_name_does_not_leave[dotted]",
        (
            'return _names([name for name in names if name not in ("localhost", HOST_NAME)], _ANY_END)',
            "return _names([], _ANY_END)",
        ),
    ),
    protect(
        "forward_path",
        "tests/lab/test_privacy.py::test_mail_is_not_forwarded_by_a_file_in_a_home",
        ('            "forward_path": "",\n', ""),
    ),
)
