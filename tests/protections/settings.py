# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md, Free-form settings."""

from tests.protections.protection import protect

PROTECTIONS = (
    protect(
        "settings that are not on the list are refused",
        "tests/unit/test_smarthost_pillar.py::test_what_the_plan_writes_may_not_be_undone",
        (
            " smtp_skip_quit_response smtp_tls",
            " authorized_submit_users smtp_skip_quit_response smtp_tls",
        ),
    ),
    protect(
        "a value is of its parameter's range",
        "tests/unit/test_settings.py::test_a_value_of_its_parameter_s_type",
        ('_choice("0", "1", "2")', '_choice("0", "1", "2", "3", "4")'),
    ),
    protect(
        "the least that a setting may be",
        "tests/unit/test_settings.py::test_both_ends_are_taken_and_one_step_beyond_is_not",
        ("return least <= amount <= most or", "return amount <= most or"),
    ),
    protect(
        "the most that a setting may be",
        "tests/unit/test_settings.py::test_both_ends_are_taken_and_one_step_beyond_is_not",
        ("return least <= amount <= most or", "return least <= amount or"),
    ),
)
