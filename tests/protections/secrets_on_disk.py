# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md, Secrets on disk and in output."""

from tests.protections.protection import protect

_SECRETS = "tests/lab/test_secrets.py::test_password"

PROTECTIONS = (
    protect(
        "mode of the tables",
        "tests/lab/test_core.py::test_password_is_in_no_output_log_process_or_open_file",
        ("mode=0o600, rows=table", "mode=0o644, rows=table"),
    ),
    protect(
        "mode of the compiled tables",
        "tests/lab/test_core.py::test_password_is_in_no_output_log_process_or_open_file",
        (
            'os.fchmod(descriptor, like.st_mode & (0o600 if alias and built.endswith(".db") else 0o666))',
            "os.fchmod(descriptor, 0o644)",
        ),
    ),
    protect(
        "fixed words for what postmap(1) says",
        f"{_SECRETS}_is_in_no_output_of_a_run_that_fails",
        (
            'next(told, "a problem that is not told here because the text might hold a value")',
            "text",
        ),
    ),
    protect(
        "staging goes when an apply fails",
        f"{_SECRETS}_is_in_no_output_of_a_run_that_fails",
        ("    finally:\n        remove(self._config_dir, STAGING)\n", "    finally:\n"),
    ),
    protect(
        "staging goes at boot",
        "tests/lab/test_secrets.py::"
        "test_run_that_is_killed_leaves_a_password_to_root_alone_and_the_next_one_takes_it_away",
        ('"$config/staging" "$queue.new"', '"$queue.new"'),
    ),
    protect(
        "staging is root's alone",
        "tests/lab/test_secrets.py::"
        "test_run_that_is_killed_leaves_a_password_to_root_alone_and_the_next_one_takes_it_away",
        ("os.mkdir(staging, 0o700)", "os.mkdir(staging, 0o755)"),
        ("mode=0o600, rows=table", "mode=0o644, rows=table"),
    ),
    protect(
        "old tables go",
        f"{_SECRETS}_of_a_removed_account_is_nowhere_on_the_disk[hash]",
        ("    remove(self._config_dir, *smarthost_disk.leftovers(self._places, self._new))\n", ""),
    ),
    protect(
        "a table is built anew",
        "tests/functional/test_postmap_build.py::test_old_values_leave_the_disk",
        (
            '        process = run("postalias"',
            "        if os.path.exists(target):\n"
            "            shutil.copyfile(target, copy + _SUFFIXES[kind])\n"
            '        process = run("postalias"',
        ),
    ),
    protect(
        "a qube's own entry only",
        "tests/lab/test_secrets.py::test_two_qubes_know_nothing_of_each_other",
        (
            'return {"postfix_smarthost": record}',
            'return {"postfix_smarthost": record, "all": {n: _encode_passwords(e) for n, e in entries.items()}}',
        ),
    ),
    protect(
        "mode of qubes.yaml",
        "tests/functional/test_pillar.py::test_file_that_others_could_read_or_write_is_refused",
        ("            _check_private(os.fstat(file.fileno()))\n", ""),
    ),
    protect(
        "errors of qubes.yaml quote nothing",
        "tests/functional/test_pillar.py::test_broken_file_gives_one_sentence",
        ("near line {mark.line + 1}, column {mark.column + 1}, it", "{error} it"),
    ),
    protect(
        "a template with accounts is refused",
        "tests/lab/test_core.py::test_template_with_accounts_is_refused_and_keeps_none",
        ('type == "template" and "postfix_smarthost" in pillar', "false"),
    ),
    protect(
        "dom0 sends no accounts to a template",
        "tests/functional/test_pillar_of_a_template.py::test_a_template_gets_a_sentence",
        ("if _is_template(qube):", "if False:"),
    ),
)
