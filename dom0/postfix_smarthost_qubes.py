# SPDX-License-Identifier: Apache-2.0
"""
The states by which dom0 makes the qubes of qubes.yaml, for postfix_smarthost/qubes.sls.

Pure but for ``Qubes``, which looks at the qubes that there are. The states are those of Qubes (``qvm``), for what has
to be done only: with ``test=True`` they tell of a change whatever they find, and fail on a qube that is yet to be made.

Sources: _modules/ext_module_qvm.py and _states/ext_state_qvm.py of qubes-mgmt-salt-dom0-qvm 4.3.6;
qubesadmin/firewall.py of qubes-core-admin-client 4.4.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator
from typing import Any, NamedTuple

TAG = "postfix-smarthost"
APPLY = "sudo qubesctl --skip-dom0 --show-output --targets={} state.apply postfix_smarthost"
_WITH_MAIL = ("AppVM", "StandaloneVM")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Found(NamedTuple):
    """
    A qube that there is.

    klass
        ``AppVM``, ``TemplateVM`` and so on.
    template, netvm
        Names, "" for none.
    gives_network
        Whether it may be another's netvm.
    tags
        Its tags.
    rules
        Those of its firewall, as qubesadmin writes them.
    """

    klass: str
    template: str = ""
    netvm: str = ""
    gives_network: bool = False
    tags: frozenset[str] = frozenset()
    rules: tuple[str, ...] = ()


class Qubes:
    """The qubes and labels of this machine, each looked at once it is asked for."""

    def __init__(self) -> None:  # noqa: D107 - the class says it
        import qubesadmin  # noqa: PLC0415 - in dom0 only

        self._app = qubesadmin.Qubes()
        self.labels = [label.name for label in self._app.labels.values()]
        self.names = sorted(vm.name for vm in self._app.domains)
        self.templates = sorted(vm.name for vm in self._app.domains if vm.klass == "TemplateVM")

    def get(self, name: str) -> Found | None:
        """Return a qube, None if there is none of that name."""
        if name not in self.names:
            return None
        vm = self._app.domains[name]
        return Found(
            klass=vm.klass,
            template=getattr(getattr(vm, "template", None), "name", ""),
            netvm=getattr(getattr(vm, "netvm", None), "name", ""),
            gives_network=bool(getattr(vm, "provides_network", False)),
            tags=frozenset(vm.tags),
            # dom0 has none.
            rules=tuple(rule.rule for rule in vm.firewall.rules) if vm.klass in _WITH_MAIL else (),
        )


def rules(accounts: list[dict[str, Any]]) -> list[str]:
    """
    Return the rules of a firewall that lets mail out and in and nothing else, as qubesadmin writes them.

    accounts : list
        The accounts of a record in its regular shape.
    """
    from smarthost_oauth import token_hosts  # noqa: PLC0415 - what reads the record has found its directory

    ways = dict.fromkeys((account["relay"].lower(), account["port"]) for account in accounts)
    fetched = [account["fetch"] for account in accounts if account["fetch"]]
    ways.update(dict.fromkeys((fetch["server"].lower(), fetch["port"]) for fetch in fetched))
    ways.update(dict.fromkeys(way for account in accounts for way in token_hosts(account)))
    return [
        *(f"action=accept proto=tcp {_destination(relay)} dstports={port}-{port}" for relay, port in ways),
        "action=accept specialtarget=dns",
        "action=drop",
    ]


def _destination(relay: str) -> str:
    try:
        address = ipaddress.ip_address(relay)
    except ValueError:
        return f"dsthost={relay}"
    return f"dst{address.version}={address}/{address.max_prefixlen}"


def problems(records: dict[str, dict[str, Any]], qubes: Qubes) -> list[str]:
    """
    Return why qubes cannot be made, in sentences, all at once.

    records : dict
        The record of each qube in its regular shape, ``qube`` filled in.
    qubes : Qubes
        What there is.
    """
    found: dict[str, None] = {}
    for name, record in records.items():
        told = [
            *_about_qube(name, record["qube"], qubes),
            *_about_template(name, record["qube"], qubes),
            *_about_firewall(record),
        ]
        found.update(dict.fromkeys(f"{name}: {sentence}" for sentence in told))
    return [*found]


def _about_qube(name: str, wanted: dict[str, Any], qubes: Qubes) -> Iterator[str]:
    import smarthost_qubes  # noqa: PLC0415 - from a directory that is known by now

    there = qubes.get(name)
    if there is None and not smarthost_qubes.is_name(name):
        yield "this is no name for a qube: take letters, digits, - and _, beginning with a letter."
    if there is not None and there.klass not in _WITH_MAIL:
        yield f"this qube is of class {there.klass}: mail accounts belong to an app qube."
    if there is None and wanted["label"] not in qubes.labels:
        yield f"there is no label {wanted['label']}: use {', '.join(qubes.labels)}."
    netvm = wanted["netvm"]
    if netvm and (gives := qubes.get(netvm)) is None:
        yield f"there is no qube {netvm} to be its netvm{_meant(netvm, qubes.names)}."
    elif netvm and gives is not None and not gives.gives_network:
        yield f"{netvm} gives no network to other qubes: name another netvm."


def _about_template(name: str, wanted: dict[str, Any], qubes: Qubes) -> Iterator[str]:
    if qubes.get(name) is not None:
        return
    template, clone = wanted["template"], wanted["clone"]
    there = qubes.get(template)
    if there is not None:
        if there.klass != "TemplateVM":
            yield f"{template} is no template (its class is {there.klass})."
        return
    if not clone:
        yield f"there is no template {template}: give clone, the one that it is to be cloned from."
    elif clone not in qubes.templates:
        yield (
            f"there is no template {clone} to clone {template} from: give clone under qube, one of"
            f" {', '.join(qubes.templates)}."
        )


def _about_firewall(record: dict[str, Any]) -> Iterator[str]:
    if not record["qube"]["firewall"]:
        return
    for account in record["accounts"]:
        if account["relay"] in _LOOPBACK or account["fetch"].get("server") in _LOOPBACK:
            yield (
                f"firewall would cut off the program behind {account['address']}, whose hosts are not known here:"
                " leave firewall out, and set its rules yourself."
            )


def _meant(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, 1, 0.7)
    return f"; did you mean {close[0]}" if close else ""


def states(records: dict[str, dict[str, Any]], qubes: Qubes, test: bool) -> dict[str, Any]:
    """
    Return the states, in their order: templates, qubes, what belongs to each, and what to do next.

    records : dict
        The record of each qube in its regular shape, ``qube`` filled in.
    qubes : Qubes
        What there is.
    test : bool
        Whether they are only to tell what would be done.
    """
    made = _Made(qubes, test)
    for name, record in records.items():
        made.qube(name, record)
    targets = ",".join([*made.templates, *records])
    made.says("next", f"To give them their mail: {APPLY.format(targets)}", after=True)
    return made.states


class _Made:
    """The states so far."""

    def __init__(self, qubes: Qubes, test: bool) -> None:
        self._qubes = qubes
        self._test = test
        self.states: dict[str, Any] = {}
        self.templates: dict[str, None] = {}

    def says(self, about: str, text: str, after: bool = False) -> None:
        """Add a state that changes nothing, and says something; after all others if they succeed, if that is wanted."""
        self.states[f"postfix_smarthost-qubes-{about}"] = {
            "test.succeed_without_changes": [{"comment": text}, *(self._wait() if after else [])]
        }

    def _wait(self) -> list[dict[str, Any]]:
        """Let a state wait for the one before: what needs a qube comes after it, and what fails stops the rest."""
        last = next(reversed(self.states), None)
        return [{"require": [last]}] if last else []

    def qube(self, name: str, record: dict[str, Any]) -> None:
        """Add what a qube needs."""
        wanted, there = record["qube"], self._qubes.get(name)
        template = there.template if there else wanted["template"]
        if template and template not in self.templates:
            self.templates[template] = None
            self._template(template, wanted["clone"])
        before = len(self.states)
        if there is None:
            arguments = {"template": template, "label": wanted["label"]}
            self._do(name, "qvm.present", name, arguments, f"The qube {name} would be made.")
        if wanted["netvm"] and (there is None or there.netvm != wanted["netvm"]):
            told = f"The netvm of {name} would be {wanted['netvm']}."
            self._do(f"{name}-netvm", "qvm.prefs", name, {"netvm": wanted["netvm"]}, told)
        self._tags(name, {TAG, *wanted["tags"]}, there)
        if wanted["firewall"]:
            asked = rules(record["accounts"])
            if there is None or [*there.rules] != asked:
                told = f"The firewall of {name} would let it reach name servers and its mail servers only."
                self._do(f"{name}-firewall", "qvm.firewall", name, {"set": asked}, told)
        if len(self.states) == before:
            self.says(name, f"The qube {name} is as qubes.yaml wants it.")

    def _template(self, name: str, clone: str) -> None:
        there = self._qubes.get(name)
        before = len(self.states)
        if there is None:
            told = f"The template {name} would be cloned from {clone}."
            self._do(name, "qvm.clone", name, {"source": clone}, told)
        self._tags(name, {TAG}, there)
        if len(self.states) == before:
            self.says(name, f"The template {name} is as qubes.yaml wants it.")

    def _tags(self, name: str, tags: set[str], there: Found | None) -> None:
        missing = sorted(tags - (there.tags if there else frozenset()))
        if missing:
            told = f"The tags of {name} would have {', '.join(missing)} among them."
            self._do(f"{name}-tags", "qvm.tags", name, {"add": missing}, told)

    def _do(self, about: str, function: str, name: str, arguments: dict[str, Any], told: str) -> None:
        """Add a state of Qubes, or with test one that tells what it would do."""
        if self._test:
            function, arguments = (
                "test.configurable_test_state",
                {"result": True, "changes": True, "comment": told},
            )
        self.states[f"postfix_smarthost-qubes-{about}"] = {
            function: [{"name": name}, *({key: value} for key, value in arguments.items()), *self._wait()]
        }
