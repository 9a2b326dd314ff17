# SPDX-License-Identifier: Apache-2.0
"""
Check the ``postfix_smarthost`` pillar and bring it into one regular shape.

Pure functions: no file, no program and no Salt dunder is touched, so that the whole of the validation runs in
milliseconds and can be tried by hand. What each key takes by itself, ``smarthost_schema`` declares; here are the rules
between keys.

Sources: the syntax of the tables is that of postmap(1) and of ``smtp_sasl_password_maps`` in postconf(5).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import smarthost_lists
from smarthost_accounts import AccountsReading
from smarthost_manifest import claim
from smarthost_readers import Wrong, discarded
from smarthost_relays import NEXT_HOPS
from smarthost_schema import LISTS, RECORD
from smarthost_settings import contradictions, too_many_at_once
from smarthost_submission import MESSAGE_SIZE_LIMIT

PACKAGES_KEY = "packages"
_NOT_ENABLED = (
    "dom0 gives this qube no pillar of postfix_smarthost; enable it there: sudo qubesctl top.enable postfix_smarthost"
    " pillar=True"
)


def of_qube(pillar: dict[str, Any]) -> Any:  # noqa: ANN401 - a pillar may hold anything
    """
    Return what a qube has under ``postfix_smarthost``, or in its place something that says why there is none.

    pillar : dict
        The whole pillar of the qube. Where there is no entry, dom0 says why; elsewhere than in Qubes OS there is no
        pillar ``qubes``.
    """
    record = pillar.get("postfix_smarthost")
    if record is not None or not isinstance(pillar.get("qubes"), dict):
        return record
    told = pillar.get("postfix_smarthost_missing") or pillar.get("postfix_smarthost_unlisted")
    return {"errors": [told if isinstance(told, str) else _NOT_ENABLED]}


def check(pillar: Any) -> tuple[dict[str, Any], list[str]]:  # noqa: ANN401 - a pillar may hold anything
    """
    Read a ``postfix_smarthost`` pillar.

    pillar : Any
        The value of the pillar key ``postfix_smarthost``, of any type.

    Returns the record in its regular shape, defaults filled in and passwords decoded, and the problems: ASCII sentences
    that name everything that is wrong, the account and the key, never a value. The record is to be used only when there
    are none. It has ``accounts`` (a list, the default account first; each with ``address``, ``relay``, ``port``,
    ``auth``, ``username``, ``password``, ``senders`` (the address first, lower case), ``folder``, ``tls_mode``,
    ``fingerprints``, ``ca`` and ``derived``, the keys that follow the provider), ``discard_senders``, ``disposables``,
    ``lists``, ``settings`` (strings), ``table_type``, ``user`` and so on. It holds passwords: do not print it.
    """
    reading = _RecordReading()
    return reading.record(pillar), reading.found


def is_templates(pillar: Any) -> bool:  # noqa: ANN401 - a pillar may hold anything
    """Tell whether a record is one of a template, which says what else is installed and nothing else."""
    return isinstance(pillar, dict) and {*pillar} == {PACKAGES_KEY}


def templates_problems(pillar: dict[str, Any]) -> list[str]:
    """
    Return the problems of the record of a template, sentences as those of ``check``.

    pillar : dict
        One that ``is_templates``.
    """
    reading = _RecordReading()
    reading.value(pillar, next(key for key in RECORD if key.name == PACKAGES_KEY))
    return reading.found


def problems(pillar: Any) -> list[str]:  # noqa: ANN401 - a pillar may hold anything
    """Return the problems of a pillar alone; see ``check``."""
    return check(pillar)[1]


def normalise(pillar: Any) -> dict[str, Any]:  # noqa: ANN401 - a pillar may hold anything
    """
    Return the record of a pillar alone; see ``check``.

    Raises ValueError with all problems, one to a line, when there are any.
    """
    record, found = check(pillar)
    if found:
        raise ValueError("\n".join(found))
    return record


class _RecordReading(AccountsReading):
    """The reading of one record."""

    def record(self, pillar: object) -> dict[str, Any]:
        """Return the regular shape, complete only if no problem was found."""
        if not isinstance(pillar, dict):
            self.tell(
                "There is no mail account for this qube: give it one under postfix_smarthost:accounts in its pillar"
                " (in dom0: an entry with the name of the qube in qubes.yaml)"
                if pillar is None
                else "postfix_smarthost must be a mapping with the key accounts"
            )
            return {}
        if "errors" in pillar:
            # What dom0's pillar could not read, in sentences of its own.
            told = pillar["errors"] if isinstance(pillar["errors"], list) else []
            self.found = [_sentence(error) for error in told if isinstance(error, str) and error.strip()] or [
                "The pillar of this qube could not be read: look at qubes.yaml in dom0."
            ]
            return {}
        self.unknown_keys(pillar, RECORD, "postfix_smarthost")
        # The first key of RECORD; what the others discard depends on it.
        accounts = self.accounts(pillar.get("accounts"))
        read = {}
        for key in RECORD[1:]:
            read[key.name] = self.value(pillar, key)
            if key.name == "discard_senders":
                read[key.name] = self._discard_senders(read[key.name] or [], accounts)
            elif key.name == "lists":
                read[key.name] = self._lists(read[key.name] or [], accounts)
        for told in contradictions(read["settings"] or {}, str(MESSAGE_SIZE_LIMIT)):
            self.tell(told)
        sharing = Counter((account["relay"], account["port"]) for account in accounts)
        at_one = min(max(sharing.values(), default=1), NEXT_HOPS)
        if told := too_many_at_once(read["settings"] or {}, at_one):
            self.tell(told)
        hidden = ("default", "where")
        return {
            "accounts": [{key: a[key] for key in a if key not in hidden} for a in accounts],
            **read,
        }

    def _discard_senders(self, items: list[Any], accounts: list[dict[str, Any]]) -> list[str]:
        own = {sender: account["where"] for account in accounts for sender in account["senders"]}
        found: dict[str, int] = {}
        for number, item in enumerate(items, 1):
            where = f"discard_senders: item {number}"
            try:
                name = discarded(item)
            except Wrong as problem:
                self.tell(where + problem.args[0])
                continue
            lost = [account for sender, account in own.items() if _is_inside(sender, name)]
            if lost:
                self.tell(
                    f"{where} would discard the mail of {lost[0]}: leave it out, or name what is below it"
                )
            elif name in found:
                self.tell(f"{where} repeats item {found[name]}: keep one")
            else:
                found[name] = number
        return list(found)

    def _lists(self, items: list[Any], accounts: list[dict[str, Any]]) -> list[dict[str, str]]:
        found: dict[tuple[str, str], tuple[int, dict[str, str]]] = {}
        for number, item in enumerate(items, 1):
            where = f"List {number}"
            if not isinstance(item, dict):
                self.tell(f"{where} must be a mapping with list_id and folder")
                continue
            self.unknown_keys(item, LISTS, where)
            if told := smarthost_lists.contradiction(item):
                self.tell(f"{where} {told}")
            keys = (key for key in LISTS if key.name in item or key.default == "required")
            read = {key.name: self.value(item, key, f"{where}: ", "") for key in keys}
            if read.get("sender"):
                read["sender"] = read["sender"].lower()
                if not claim(read["sender"], {known for account in accounts for known in account["senders"]}):
                    self.tell(f"{where}: sender is in no account: give an address of one")
            known_by = (read.get("list_id") or "", f"{read.get('header')}:{read.get('match')}".lower())
            first = found.setdefault(known_by if any(known_by) else (f" {number}", ""), (number, read))
            if first[0] != number and not told:
                what = "list_id" if "list_id" in read else "header with its match"
                self.tell(f"{where}: {what} stands already in List {first[0]}: keep one")
        return [read for _, read in found.values()]


def _sentence(text: str) -> str:
    """Return what somebody else wrote as one line of ASCII with a full stop."""
    text = " ".join(text.encode("ascii", "backslashreplace").decode("ascii").split())
    return text if text.endswith(".") else text + "."


def _is_inside(sender: str, name: str) -> bool:
    """Tell whether access(5) applies a row for name (a domain or an address) to a sender, or to one of a domain."""
    if sender.startswith("@") and name.endswith(sender):
        return True
    return sender == name or ("@" not in name and f".{sender.rpartition('@')[2]}".endswith(f".{name}"))
