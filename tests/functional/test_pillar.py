# SPDX-License-Identifier: Apache-2.0
"""The pillar for dom0, rendered by Salt as qubesctl does it: for a qube's id, then as one YAML file."""

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import salt.config
import salt.output
import salt.pillar
import yaml
from hypothesis import given, settings

from tests.checkout import ROOT
from tests.records import CASES, hostile, randoms

SECRET = "y0urP4ssw0rd"


def render(pillar_root: Path, minion_id: str) -> dict[str, Any]:
    """Compile the pillar of a minion and return it."""
    opts = salt.config.minion_config(None, minion_id=minion_id)
    opts |= {
        "file_client": "local",
        "pillar_roots": {"base": [str(pillar_root)]},
        "cachedir": str(pillar_root.parent / "cache"),
        "extension_modules": str(pillar_root.parent / "extmods"),
    }
    return salt.pillar.Pillar(opts, {}, minion_id, "base").compile_pillar()


class Dom0:
    """A pillar root with the pillar of this repository in it, and what qubessalt makes of it."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "pillar"
        shutil.copytree(ROOT / "pillar/postfix_smarthost", self.root / "postfix_smarthost")
        shutil.copy(ROOT / "pillar/postfix_smarthost/init.top", self.root / "top.sls")
        self.qubes_yaml = self.root / "postfix_smarthost/qubes.yaml"
        self._combined = directory / "combined"
        self._combined.mkdir()

    def write(self, content: str | bytes, mode: int = 0o600) -> None:
        """Write qubes.yaml."""
        self.qubes_yaml.unlink(missing_ok=True)
        self.qubes_yaml.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.qubes_yaml.chmod(mode)

    def pillar(self, qube: str) -> dict[str, Any]:
        """Return what reaches a qube, by the steps of prepare_salt_config_for_vm in qubessalt/__init__.py."""
        first = render(self.root, qube) | {"qubes": {"type": "app"}}
        opts = salt.config.minion_config(None)
        printed = salt.output.out_format({"local": first}, "yaml", opts)
        pillar = yaml.safe_load(printed.encode().decode())["local"]
        (self._combined / "combined.sls").write_text(yaml.safe_dump(pillar))
        (self._combined / "top.sls").write_text(yaml.safe_dump({"base": {qube: ["combined"]}}))
        arrived = render(self._combined, qube)
        assert arrived.pop("qubes") == {"type": "app"}
        self.why = [
            key.removeprefix("postfix_smarthost_") for key in arrived if key.startswith("postfix_smarthost_")
        ]
        self.missing = "".join(arrived.pop(f"postfix_smarthost_{key}") for key in self.why)
        assert not (self.missing and "postfix_smarthost" in arrived)
        return arrived


@pytest.fixture
def dom0(tmp_path: Path) -> Dom0:
    return Dom0(tmp_path)


@pytest.fixture(scope="module")
def lasting_dom0(tmp_path_factory: pytest.TempPathFactory) -> Dom0:
    """One for all examples of a property: hypothesis does not renew fixtures."""
    return Dom0(tmp_path_factory.mktemp("dom0"))


def decoded(account: dict[str, Any]) -> str:
    return base64.b64decode(account["password_base64"], validate=True).decode()


def the_error(pillar: dict[str, Any]) -> str:
    """The one sentence that a broken qubes.yaml gives, and nothing else with it."""
    assert set(pillar) == {"postfix_smarthost"}
    assert set(pillar["postfix_smarthost"]) == {"errors"}
    (sentence,) = pillar["postfix_smarthost"]["errors"]
    assert sentence.isascii()
    assert "\n" not in sentence
    return sentence


def test_qube_gets_its_own_entry_only(dom0: Dom0) -> None:
    dom0.write((ROOT / "pillar/postfix_smarthost/qubes.yaml.example").read_text())
    assert dom0.pillar("mail") == {
        "postfix_smarthost": {
            "accounts": [
                {
                    "address": "your.mail@example.com",
                    "relay": "mail.example.com",
                    "username": "your.mail",
                    "password_base64": base64.b64encode(b"y0urP4ssw0rd").decode(),
                },
                {
                    "address": "your.other@mail.com",
                    "relay": "smtp.mail.com",
                    "port": 465,
                    "password_base64": base64.b64encode(b"supers3cret").decode(),
                },
                {
                    "address": "you@gmail.com",
                    "password_base64": base64.b64encode(b"an app password").decode(),
                },
            ]
        }
    }
    (account,) = dom0.pillar("work")["postfix_smarthost"]["accounts"]
    assert decoded(account) == "it's # {{ any }} characters"


@pytest.mark.parametrize("minion_id", ["dom0", "debian-13-mail", "mai", "mail2", "MAIL", "*"])
def test_whoever_has_no_entry_gets_nothing(dom0: Dom0, minion_id: str) -> None:
    dom0.write(f"mail:\n  accounts: [{{address: me@example.com, password: '{SECRET}'}}]\n")
    assert dom0.pillar(minion_id) == {}


def test_without_qubes_yaml_nobody_gets_anything(dom0: Dom0) -> None:
    assert dom0.pillar("mail") == {}
    assert dom0.missing == (
        f"{dom0.qubes_yaml} is missing in dom0: copy qubes.yaml.example there, and write an entry for mail into it."
    )
    dom0.write("# nothing yet\n")
    assert dom0.pillar("mail") == {}
    assert (dom0.why, dom0.missing) == (["unlisted"], f"{dom0.qubes_yaml} in dom0 has no entry for mail.")


def test_qube_is_told_of_an_entry_that_looks_like_its_own_and_of_no_other(dom0: Dom0) -> None:
    dom0.write("mial: {accounts: []}\nwork: {accounts: []}\ndefaults: {user: me}\n")
    assert dom0.pillar("mail") == {}
    assert dom0.missing.endswith(
        "has no entry for mail, but one for mial: correct the name if that is a typing error."
    )
    for other in ("vault", "default", "dom0"):
        assert dom0.pillar(other) == {}
        for name in ("mial", "work", "defaults"):
            assert name not in dom0.missing
        assert dom0.why == ["unlisted"]


def test_what_is_for_all_qubes_is_said_once(dom0: Dom0) -> None:
    dom0.write(
        "defaults: {user: me, settings: {delay_warning_time: 1h}}\n"
        f"mail: {{accounts: [{{address: me@example.com, password: '{SECRET}'}}]}}\n"
        f"work: {{user: you, accounts: [{{address: you@example.com, password: '{SECRET}'}}]}}\n"
    )
    mail, work = (dom0.pillar(qube)["postfix_smarthost"] for qube in ("mail", "work"))
    assert (mail["user"], work["user"]) == ("me", "you")
    assert mail["settings"] == work["settings"] == {"delay_warning_time": "1h"}
    assert dom0.pillar("defaults") == {}


# With what makes PyYAML quote, escape or fold.
MARKS = (*"{}%#-+ \n'\"\\$x\xe9", "{{", "{%", "{#", "raw", "endraw", "%}", "}}", "word ")
# What YAML takes for something else than text, without quotes.
NO_TEXTS = (
    *("null", "~", "yes", "0123", "1_000", "1e3", "1:30", "2026-01-31", "<<", "=", "---", "..."),
    *("[a]", "a: b", "!a", "&a", "*a", "|", "%a", "- a", "? a"),
)
# So many in one pillar: to render it takes as long as dozens of them do.
PAIRS = 100


def any_text(random: Random) -> str:
    kind = random.randrange(8)
    if kind == 0:
        return random.choice(NO_TEXTS)
    if kind < 3:
        return hostile(random)
    if kind < 5:
        # Any character but the surrogates, mostly of ASCII.
        ranges = ((0, 0x7F), (0, 0xFF), (0, 0xD7FF), (0xE000, 0x10FFFF))
        return "".join(chr(random.randint(*random.choice(ranges))) for _ in range(random.randint(0, 60)))
    # Marks in every order, in lines long enough to be folded.
    return "".join(random.choice(MARKS) for _ in range(random.randint(0, 60)))


@given(randoms)
@settings(max_examples=max(5, CASES // (2 * PAIRS)), deadline=None, phases=["generate"])
def test_any_text_arrives_as_it_was_written(lasting_dom0: Dom0, random: Random) -> None:
    written = [(any_text(random), any_text(random)) for _ in range(PAIRS)]
    record = {
        "accounts": [{"username": name, "password": password} for name, password in written],
        "settings": dict(written),
    }
    lasting_dom0.write(yaml.safe_dump({"mail": record}, default_style="'"))
    arrived = lasting_dom0.pillar("mail")["postfix_smarthost"]
    accounts = [(account["username"], decoded(account)) for account in arrived["accounts"]]
    assert [pair for pair in zip(accounts, written, strict=True) if pair[0] != pair[1]] == []
    assert arrived["settings"] == record["settings"]


def test_password_outside_ascii_is_utf8(dom0: Dom0) -> None:
    dom0.write("mail: {accounts: [{username: Zo\xeb, password: 'p\xe4ss \u20ac'}]}")
    (account,) = dom0.pillar("mail")["postfix_smarthost"]["accounts"]
    assert (account["username"], decoded(account)) == ("Zo\xeb", "p\xe4ss \u20ac")


@pytest.mark.parametrize("password", ["0123", "true", "null", "1.50", "[a, b]", "{a: b}"])
def test_what_is_no_text_stays_none(dom0: Dom0, password: str) -> None:
    """The qube names the account and the key; a number turned into text here would be another password."""
    dom0.write(f"mail: {{accounts: [{{address: me@example.com, password: {password}}}]}}")
    (account,) = dom0.pillar("mail")["postfix_smarthost"]["accounts"]
    assert account == {"address": "me@example.com", "password": yaml.safe_load(password)}


@pytest.mark.parametrize(
    "entry", ["", "[]", "text", "{accounts: 5}", "{accounts: [5, {}]}", "{accounts: {a: b}}"]
)
def test_other_shapes_reach_the_qube_unchanged(dom0: Dom0, entry: str) -> None:
    dom0.write(f"mail: {entry}")
    assert dom0.pillar("mail") == {"postfix_smarthost": yaml.safe_load(entry)}


@pytest.mark.parametrize("key", ["password: 'f{{ x }}'", "password_command: [printf, 'f{{ x }}']"])
def test_password_of_fetching_arrives_as_it_was_written(dom0: Dom0, key: str) -> None:
    dom0.write(
        f"mail: {{accounts: [{{address: alice@example.com, relay: a.example, password: '{SECRET}',"
        f" fetch: {{server: b.example, {key}}}}}]}}\n"
    )
    (account,) = dom0.pillar("mail")["postfix_smarthost"]["accounts"]
    assert account["fetch"] == {
        "server": "b.example",
        "password_base64": base64.b64encode(b"f{{ x }}").decode(),
    }


def test_password_base64_is_passed_on(dom0: Dom0) -> None:
    dom0.write("mail: {accounts: [{password_base64: c2VjcmV0}, {password_base64: YQ==, password: 'both'}]}")
    assert dom0.pillar("mail")["postfix_smarthost"]["accounts"] == [
        {"password_base64": "c2VjcmV0"},
        {"password_base64": "YQ==", "password": "both"},
    ]


PLAIN = f"mail:\n  accounts:\n    - address: me@example.com\n      password: {SECRET}\n"
ENTRY = f"mail:\n  accounts:\n    - address: me@example.com\n      password: '{SECRET}'\n"
BROKEN = {
    "indentation": (f"{ENTRY}     port: 465\n", "line 5, column "),
    "tab": (f"{ENTRY}\tport: 465\n", "line 5 is indented with a tab; YAML wants blanks."),
    "quote left open": (
        PLAIN.replace(SECRET, f"'{SECRET}"),
        "the quote opened in line 4, column 17, is not closed in that line",
    ),
    "quote left open, another one later": (
        PLAIN.replace(SECRET, f"'{SECRET}") + "work:\n  accounts:\n    - password: 'other'\n",
        "the quote opened in line 4, column 17, is not closed in that line",
    ),
    "double quote left open": (
        PLAIN.replace(SECRET, f'"{SECRET}'),
        "the quote opened in line 4, column 17, is not closed in that line",
    ),
    "tab below a list": (ENTRY + "    \t- port: 465\n", "line 5 is indented with a tab"),
    "password without quotes": (PLAIN, "line 4: put the password in single quotes"),
    "password with what is a comment to YAML": (
        PLAIN.replace(SECRET, f"{SECRET} #x"),
        "line 4: put the password in",
    ),
    "defaults with accounts": (f"{ENTRY}defaults: {{accounts: []}}\n", "defaults may not have accounts"),
    "defaults that are a list": (f"{ENTRY}defaults: [lists]\n", "defaults must be a mapping"),
    "password is a tag": (PLAIN.replace(SECRET, f"!{SECRET}"), "line 4, column 17"),
    "password is an alias": (PLAIN.replace(SECRET, f"*{SECRET}"), "line 4, column 17"),
    "password is a directive": (PLAIN.replace(SECRET, f"%{SECRET}"), "line 4, column 17"),
    "password is a reserved mark": (PLAIN.replace(SECRET, f"@{SECRET}"), "line 4, column 17"),
    "password opens a mapping": (PLAIN.replace(SECRET, f"{{{SECRET}"), "line "),
    "password is a Jinja value": (PLAIN.replace(SECRET, f"{{{{{SECRET}}}}}"), "line 4, column "),
    "colon in the password": (PLAIN.replace(SECRET, f"{SECRET}: {SECRET}"), "line 4, column "),
    "no such number": (PLAIN.replace(SECRET, f"!!int {SECRET}"), "not valid YAML"),
    "no such boolean": (PLAIN.replace(SECRET, f"!!bool {SECRET}"), "not valid YAML"),
    "no such day": (PLAIN.replace(SECRET, "2026-99-99"), "not valid YAML"),
    "Python object": (PLAIN.replace(SECRET, f"!!python/name:{SECRET}"), "line 4, column 17"),
    "two documents": (f"{ENTRY}---\n{ENTRY}", "line 5, column 1"),
    "control character": (PLAIN.replace(SECRET, f"{SECRET}\x07"), "line 4 "),
    "Latin-1": (PLAIN.replace(SECRET, f"{SECRET}\xe9").encode("latin-1"), "line 4 "),
    "half a surrogate pair": (f'{ENTRY}  k: "{SECRET}\\ud800"\n', "mail:k "),
    "qube twice": (f"{ENTRY}work: {{}}\n{ENTRY}", "line 6 has the same key as line 1"),
    "password twice": (f"{ENTRY}      password: other\n", "line 5 has the same key as line 4"),
    "a list of qubes": (f"- {SECRET}\n", "mapping of qube names"),
    "text": (SECRET, "mapping of qube names"),
    "name that YAML takes for a boolean": (f"{ENTRY}on: {{}}\n", "quotes"),
    "password is a date": (PLAIN.replace(SECRET, "2026-01-31"), "mail:accounts:1:password is a date"),
    "binary": (PLAIN.replace(SECRET, "!!binary eTB1clA0c3N3MHJk"), "mail:accounts:1:password is a bytes"),
    "holds itself": (f"mail: &a\n  accounts: [{SECRET}, *a]\n", "mail "),
    "deep": ("mail: " + 2000 * "[" + SECRET + 2000 * "]", "not valid YAML"),
}


@pytest.mark.parametrize(("content", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_file_gives_one_sentence(
    dom0: Dom0,
    content: str | bytes,
    expected: str,
    capfd: pytest.CaptureFixture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dom0.write(content)
    sentence = the_error(dom0.pillar("mail"))
    assert sentence.startswith(f"{dom0.qubes_yaml}: ")
    assert expected in sentence
    for output in (sentence, caplog.text, *capfd.readouterr()):
        assert SECRET not in output
        assert "Traceback" not in output


@pytest.mark.parametrize(
    ("mode", "gid"), [(0o604, 0), (0o602, 0), (0o644, 0), (0o660, 0), (0o640, 1000), (0o700 | 0o4000, 0)]
)
def test_file_that_others_could_read_or_write_is_refused(dom0: Dom0, mode: int, gid: int) -> None:
    dom0.write(ENTRY, mode)
    os.chown(dom0.qubes_yaml, -1, gid)
    dom0.qubes_yaml.chmod(mode)
    assert the_error(dom0.pillar("mail")).endswith(f"has mode {mode:04o}; run chmod 0600 on it in dom0.")


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640])
def test_private_file_is_taken(dom0: Dom0, mode: int) -> None:
    dom0.write(ENTRY, mode)
    (account,) = dom0.pillar("mail")["postfix_smarthost"]["accounts"]
    assert decoded(account) == SECRET


def test_file_of_another_user_is_refused(dom0: Dom0) -> None:
    dom0.write(ENTRY)
    os.chown(dom0.qubes_yaml, 1000, 0)
    assert "chown root" in the_error(dom0.pillar("mail"))


def test_unreadable_file_is_told(dom0: Dom0) -> None:
    dom0.qubes_yaml.mkdir()
    assert "cannot be read" in the_error(dom0.pillar("mail"))


@pytest.fixture
def salt_call(dom0: Dom0, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the program that qubesctl runs in dom0, with every log message on."""
    config = {
        "root_dir": str(tmp_path),
        "file_client": "local",
        "pillar_roots": {"base": [str(dom0.root)]},
        "log_level_logfile": "all",
    }
    (tmp_path / "minion").write_text(yaml.safe_dump(config))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("salt-call")
        command = [program, "--local", f"--config-dir={tmp_path}", "--id=mail", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.mark.parametrize(
    "content", [ENTRY, f"{ENTRY}\t{SECRET}: [", ENTRY.replace(SECRET, f"!!int {SECRET}")]
)
def test_no_log_level_shows_a_password(dom0: Dom0, tmp_path: Path, salt_call: Callable, content: str) -> None:
    dom0.write(content)
    done = salt_call("--log-level=all", "test.ping")
    log = (tmp_path / "var/log/salt/minion").read_text()
    assert done.returncode == 0
    assert "postfix_smarthost" in log
    for output in (done.stdout, done.stderr, log):
        assert SECRET not in output
        assert base64.b64encode(SECRET.encode()).decode() not in output
        assert "Traceback" not in output


def test_broken_file_does_not_stop_other_formulas(dom0: Dom0, salt_call: Callable) -> None:
    """Salt refuses to apply any state to a minion whose pillar raised an error."""
    dom0.write(f"{ENTRY}\t")
    done = salt_call("state.single", "test.nop", "name=another")
    assert done.returncode == 0
    assert "Result: True" in done.stdout
