#!py
# SPDX-License-Identifier: Apache-2.0
"""Pillar for dom0 of Qubes OS: give a qube its own mail accounts, and nothing of any other qube's.

The accounts are in ``qubes.yaml`` beside this file: a mapping of qube names to the record that README.md
describes. What ``defaults`` says there holds for each of them that does not say otherwise. A qube without an entry,
dom0 and the templates among them, gets a sentence instead: ``postfix_smarthost_missing`` if that looks like a mistake,
which its states then tell; ``postfix_smarthost_unlisted``, or ``postfix_smarthost_unused`` in a template, if it is not
one of those that are meant, and ``postfix_smarthost`` does nothing there.

This pillar is made for qubesctl, which renders it twice: here for the qube's id, then, written to one YAML
file, as ``jinja|yaml`` in the management disposable (qubessalt, ``prepare_salt_config_for_vm``). Hence:

* each ``password``, and what each ``password_command`` prints, becomes ``password_base64``, which no renderer alters;
* Jinja marks in any other text are wrapped in ``raw`` blocks, which the second rendering takes off again.

What is wrong with ``qubes.yaml`` is not raised but given as ``postfix_smarthost:errors``, sentences on
which the states fail in the qube. An exception here would print a traceback and stop each run of qubesctl,
for any formula and for dom0 as well. No sentence quotes the file: what YAML cannot parse is often a password.
"""

import base64
import difflib
import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

QUBES_YAML = Path(__file__).with_name("qubes.yaml")
JINJA_MARK = re.compile(r"\{[{%#]")
DEFAULTS = "defaults"
# What a template may be asked to install.
PACKAGES = ["fetchmail", "mutt", "neomutt"]
# In seconds, for a password_command: a qube may have to be started for it.
TIMEOUT = 120
UNQUOTED = "!unquoted"
LEADING_ZERO = re.compile(r"0[0-9_]+")
PLAIN_KEY = re.compile(r"[\w.@-]+", re.ASCII)


class QubesYamlError(Exception):
    """What is wrong with qubes.yaml, and how to mend it, as ASCII text that quotes nothing of the file."""


class Unquoted(str):
    """A password without quotes, and the line that it stands in."""

    __slots__ = ("line",)


class _Loader(yaml.SafeLoader):
    """YAML without duplicate keys, of which PyYAML silently takes the last, and without octal ports.

    A password has to be in quotes: without them, YAML ends it at " #" and takes some for numbers or dates.
    """

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            # 0465 is 309 to YAML. The qube tells of one that begins with a zero.
            if (
                key.value == "port"
                and isinstance(value, yaml.ScalarNode)
                and LEADING_ZERO.fullmatch(value.value)
            ):
                value.tag = "tag:yaml.org,2002:str"
            line = key.start_mark.line + 1
            is_text = isinstance(value, yaml.ScalarNode) and value.tag == "tag:yaml.org,2002:str"
            if key.value == "password" and is_text and value.style is None:
                value.tag = UNQUOTED
            if key.value in lines:
                raise QubesYamlError(
                    f"line {line} has the same key as line {lines[key.value]}; keep one of the two."
                )
            lines[key.value] = line
        return node


def _unquoted(loader: _Loader, node: yaml.ScalarNode) -> Unquoted:
    text = Unquoted(loader.construct_scalar(node))
    text.line = node.start_mark.line + 1
    return text


_Loader.add_constructor(UNQUOTED, _unquoted)


def run() -> dict[str, Any]:
    """Return the pillar of the minion that is being rendered, ``__opts__["id"]``.

    :return: ``{"postfix_smarthost": entry}``; a sentence when qubes.yaml or the qube's entry does not exist;
        ``{"postfix_smarthost": {"errors": [sentence]}}`` when qubes.yaml cannot be used.
    """
    qube = __opts__["id"]
    try:
        entries = _entries()
        if qube not in entries or qube == DEFAULTS:
            return _without_entry(qube, entries)
        if _is_template(qube) and isinstance(entries[qube], dict) and {*entries[qube]} == {"packages"}:
            return {"postfix_smarthost": {"packages": _packages(entries[qube]["packages"], qube)}}
        if _is_template(qube):
            # Not even to its management disposable, which would leave it behind, were it killed.
            raise QubesYamlError(
                f"{qube} is a template, and passwords do not belong in templates; give the entry the name of an app"
                " qube of it."
            )
        record = with_defaults(entries, qube)
        if isinstance(record, dict):
            # What postfix_smarthost.qubes makes the qube by, which the qube has no use for.
            record = {key: value for key, value in record.items() if key != "qube"}
        record = _survive_jinja(_encode_passwords(record), qube)
    except QubesYamlError as error:
        record = {"errors": [f"{QUBES_YAML}: {error}"]}
    except RecursionError:
        record = {"errors": [f"{QUBES_YAML}: {qube} is nested too deeply, or holds itself by an alias."]}
    return {"postfix_smarthost": record}


def _packages(value: Any, template: str) -> list[str]:  # noqa: ANN401
    """Return what is to be installed in a template, which gets no other text of qubes.yaml.

    :raises QubesYamlError: the value is anything else.
    """
    if not isinstance(value, list) or any(name not in PACKAGES for name in value):
        raise QubesYamlError(f"{template}: packages must be a list of {', '.join(PACKAGES)}.")
    return value


def with_defaults(entries: dict[str, Any], qube: str) -> Any:  # noqa: ANN401
    """Return the entry of a qube, with what it leaves to the defaults.

    :raises QubesYamlError: the defaults are no mapping, or have accounts, which belong to one qube each.
    """
    defaults = entries.get(DEFAULTS)
    if defaults is None:
        return entries[qube]
    if not isinstance(defaults, dict):
        raise QubesYamlError(f"{DEFAULTS} must be a mapping, such as lists or settings for all qubes.")
    if "accounts" in defaults:
        raise QubesYamlError(f"{DEFAULTS} may not have accounts: give each qube its own.")
    return {**defaults, **entries[qube]} if isinstance(entries[qube], dict) else entries[qube]


def _without_entry(qube: str, entries: dict[str, Any]) -> dict[str, str]:
    """Say why a qube has no entry, under a key that tells its states what to make of it.

    No other qube's name is told to it, but for one that looks like its own.
    """
    if not QUBES_YAML.exists():
        return {
            "postfix_smarthost_missing": f"{QUBES_YAML} is missing in dom0: copy qubes.yaml.example there, and write an"
            f" entry for {qube} into it."
        }
    template = _is_template(qube)
    if template:
        if any(_template_of(name) == qube for name in entries):
            return {}
        return {"postfix_smarthost_unused": f"No qube with an entry in {QUBES_YAML} is based on {qube}."}
    near = [name for name in difflib.get_close_matches(qube, entries, 1, 0.7) if name != DEFAULTS]
    if near:
        return {
            "postfix_smarthost_missing": f"{QUBES_YAML} in dom0 has no entry for {qube}, but one for {near[0]}: correct"
            " the name if that is a typing error."
        }
    return {"postfix_smarthost_unlisted": f"{QUBES_YAML} in dom0 has no entry for {qube}."}


def _template_of(qube: str) -> str:
    """Return the name of a qube's template, "" where Qubes cannot tell."""
    try:
        import qubesadmin  # noqa: PLC0415 - in dom0 only

        return qubesadmin.Qubes().domains[qube].template.name
    except Exception:
        return ""


def _is_template(qube: str) -> bool:
    """Ask Qubes, by the module with which it makes the pillar ``qubes``; where that cannot tell, the states refuse.

    That pillar itself is not to be had here: it comes after this one (ext_pillar).
    """
    try:
        import qubesadmin  # noqa: PLC0415 - in dom0 only

        return qubesadmin.Qubes().domains[qube].klass == "TemplateVM"
    except Exception:
        return False


def _entries() -> dict[str, Any]:
    """Return what qubes.yaml holds, its defaults among it, or nothing when there is no such file.

    :raises QubesYamlError: the file is not private, not readable, not YAML, or not a mapping.
    """
    try:
        with QUBES_YAML.open("rb") as file:
            _check_private(os.fstat(file.fileno()))
            content = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise QubesYamlError(f"it cannot be read ({error.strerror}).") from None
    entries = _parse(content)
    if entries is None:
        return {}
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise QubesYamlError(
            "it must be a mapping of qube names to their settings, as in qubes.yaml.example; a name that YAML"
            " takes for something else, like on or null, belongs in quotes."
        )
    if isinstance(entries.get("accounts"), list):
        raise QubesYamlError(
            "accounts has no name of a qube above it: write one at the left edge, as in mail:, and indent what is the"
            " qube's below it."
        )
    return entries


def _check_private(status: os.stat_result) -> None:
    """Refuse a file that others could read or write.

    Group root may read: with qubes.directories enabled, Qubes' own states set that mode, 0640.
    """
    if status.st_uid not in (0, os.geteuid()):
        raise QubesYamlError("it holds passwords and does not belong to root; run chown root on it in dom0.")
    allowed = stat.S_IRWXU | (stat.S_IRGRP if status.st_gid == 0 else 0)
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~allowed:
        raise QubesYamlError(f"it holds passwords and has mode {mode:04o}; run chmod 0600 on it in dom0.")


def _parse(content: bytes) -> Any:  # noqa: ANN401
    """Parse YAML; an error tells the place only, since PyYAML's own words quote the text around it."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise QubesYamlError(f"line {line} is not UTF-8 text.") from None
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except QubesYamlError:
        raise
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise QubesYamlError(f"line {line} holds a character that YAML does not allow.") from None
    except Exception as error:  # an ill-formed scalar makes PyYAML raise ValueError, KeyError and others
        raise QubesYamlError(_why_not_yaml(text, error)) from None


def _why_not_yaml(text: str, error: Exception) -> str:
    """Say where a text stops to be YAML, or rather where the slip is that made it so."""
    lines = text.splitlines()
    tab = next((number for number, line in enumerate(lines, 1) if re.match(r"[ -]*\t", line)), 0)
    if tab:
        return f"line {tab} is indented with a tab; YAML wants blanks."
    if "escape" in (getattr(error, "problem", None) or ""):
        return f"line {error.problem_mark.line + 1} has a backslash in double quotes; use single quotes."
    quote = _open_quote(text)
    if quote:
        return (
            f"the quote opened in line {quote.line + 1}, column {quote.column + 1}, is not closed in that line; close"
            " it, and double each single quote inside."
        )
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"near line {mark.line + 1}, column {mark.column + 1}, it" if mark else "it"
    return f"{place} is not valid YAML; check the indentation, and put passwords in single quotes."


def _open_quote(text: str) -> Any:  # noqa: ANN401 - a mark of PyYAML
    """Return where the first quoted text begins that goes on in another line, None if there is none."""
    try:
        for token in yaml.scan(text, _Loader):
            if (
                isinstance(token, yaml.ScalarToken)
                and token.style in ("'", '"')
                and token.start_mark.line != token.end_mark.line
            ):
                return token.start_mark
    except yaml.MarkedYAMLError as error:
        if error.context and "quoted scalar" in error.context:
            return error.context_mark
    except Exception:
        return None
    return None


def _encode_passwords(record: Any, ask: Callable[[list[str]], str] | None = None) -> Any:  # noqa: ANN401
    """Turn each account's password into password_base64; other shapes are left for the qube to refuse.

    :param ask: gives the password that a ``password_command`` prints, or raises QubesYamlError.
    """
    if not isinstance(record, dict) or not isinstance(record.get("accounts"), list):
        return record
    accounts = [
        _encode_password(account, f"account {number}", ask or _ask)
        for number, account in enumerate(record["accounts"], start=1)
    ]
    return {**record, "accounts": accounts}


def _encode_password(account: Any, where: str, ask: Callable[[list[str]], str]) -> Any:  # noqa: ANN401
    if isinstance(account, dict) and isinstance(account.get("fetch"), dict):
        account = {**account, "fetch": _encode_password(account["fetch"], f"{where}: fetch", ask)}
    if not isinstance(account, dict) or "password_base64" in account:
        return account
    password = account.get("password")
    if "password_command" in account:
        if "password" in account:
            raise QubesYamlError(f"{where} has password and password_command: keep one of the two.")
        words = account["password_command"]
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise QubesYamlError(
                f"{where}: password_command must be a list of words: the program and its arguments."
            )
        try:
            password = ask(words)
        except QubesYamlError as error:
            raise QubesYamlError(f"{where}: password_command {error}") from None
    if not isinstance(password, str):
        return account
    if isinstance(password, Unquoted):
        raise QubesYamlError(
            f"line {password.line}: put the password in single quotes, and double each single quote in it."
        )
    # surrogatepass: the qube refuses what is not UTF-8, and names the account.
    encoded = base64.b64encode(password.encode(errors="surrogatepass")).decode()
    rest = {key: value for key, value in account.items() if key not in ("password", "password_command")}
    return {**rest, "password_base64": encoded}


def _ask(words: list[str]) -> str:
    """Run a command without a shell, and return the first line that it prints, which nothing else gets to see."""
    try:
        ended = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise QubesYamlError(f"did not end within {TIMEOUT} seconds.") from None
    except OSError as error:
        raise QubesYamlError(f"cannot be run ({error.strerror}).") from None
    except ValueError:
        raise QubesYamlError("holds a NUL byte.") from None
    if ended.returncode:
        raise QubesYamlError(f"ended with exit code {ended.returncode}.")
    line = ended.stdout.partition(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise QubesYamlError("printed no password.")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise QubesYamlError("printed what is not UTF-8.") from None


def _survive_jinja(value: Any, where: str) -> Any:  # noqa: ANN401
    """Wrap each Jinja mark so that one more rendering gives the same value again.

    The tags hold no blank and no quote: PyYAML folds long lines at blanks, and doubles or escapes quotes.

    :param where: the path of keys to the value, for the sentence of an error.
    :raises QubesYamlError: the value has a type that would not reach the qube as it is, such as a date.
    """
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            shown = key if isinstance(key, str) and PLAIN_KEY.fullmatch(key) else "?"
            kept[_survive_jinja(key, where)] = _survive_jinja(item, f"{where}:{shown}")
        return kept
    if isinstance(value, list):
        return [_survive_jinja(item, f"{where}:{number}") for number, item in enumerate(value, start=1)]
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise QubesYamlError(f"{where} holds half of a surrogate pair, which is no text.")
        return JINJA_MARK.sub(r"{%raw%}\g<0>{%endraw%}", value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise QubesYamlError(f"{where} is a {type(value).__name__} to YAML; put it in single quotes.")
