# SPDX-License-Identifier: Apache-2.0
"""One lab for all tests of a session: what takes long is made once, what a test changes it gets anew."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import ALICE, RECIPIENTS, pillar, unique
from .lab import Lab
from .mailbox import Mailbox
from .oauth_provider import OAuthProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .qube import Qube, Template
    from .relay import MX, Relay

# It runs Qubes' own code, which is not here.
collect_ignore = [] if os.environ.get("QUBES_SOURCES") else ["test_own_qubesctl.py"]


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Give a lab with nothing in it."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def tidy(lab: Lab) -> Iterator[None]:
    """Let no machine of a module run on beside those of the next one."""
    yield
    kept = ("smtp.a.test", "smtp.b.test", f"mx.{RECIPIENTS}", OAuthProvider.relay)
    lab.tidy(keep=("debian-13-prepared", *kept))


@pytest.fixture(scope="session")
def prepared(lab: Lab) -> Template:
    """Give a template to which the formula's template side was applied; halted, and to be left as it is."""
    template = lab.template("debian-13-prepared")
    template.apply("postfix_smarthost").check()
    return template


@pytest.fixture(scope="session")
def bare(lab: Lab) -> Template:
    """Give a template that no test changes."""
    return lab.template("debian-13")


@pytest.fixture(scope="module")
def bare_client(lab: Lab, bare: Template) -> Qube:
    """Give an app qube without any mail transfer agent."""
    return lab.qube("client", template=bare)


@pytest.fixture(scope="session")
def relay_a(lab: Lab) -> Relay:
    """Give the submission server of ALICE and ANN."""
    return lab.relay("smtp.a.test")


@pytest.fixture(scope="session")
def relay_b(lab: Lab) -> Relay:
    """Give the submission server of BOB."""
    return lab.relay("smtp.b.test")


@pytest.fixture(scope="session")
def provider(lab: Lab) -> OAuthProvider:
    """Give the provider that wants tokens."""
    return OAuthProvider(lab)


@pytest.fixture(scope="session")
def mx(lab: Lab) -> MX:
    """Give the host that no mail must ever reach from a qube."""
    return lab.mx


@pytest.fixture(scope="module")
def applied_qube(lab: Lab, prepared: Template) -> Callable[..., Qube]:
    """Give a function that makes the qube of a module: with accounts applied, packages, and another local user."""

    def make(
        name: str, own: Mapping[str, Any], *hosts: Relay | MX, packages: tuple[str, ...] = (), user: str = ""
    ) -> Qube:
        for host in hosts:
            assert host.running
        qube = lab.qube(name, template=prepared, pillar=own)
        assert direct.run(qube).error is None
        if user:
            qube.run("useradd", "--create-home", user)
        if packages:
            qube.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, timeout=120)
        return qube

    return make


@pytest.fixture(scope="session")
def with_fetchmail(lab: Lab, prepared: Template) -> Template:
    """Give a template with fetchmail; halted, and to be left as it is."""
    made = prepared.clone("debian-13-fetchmail")
    made.start()
    made.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "fetchmail", timeout=180)
    made.shutdown()
    return made


@pytest.fixture(scope="module")
def fetching_qube(lab: Lab, with_fetchmail: Template, relay_a: Relay) -> Iterator[Callable[..., Qube]]:
    """Give a function that makes a qube with fetchmail, whose accounts fetch nothing yet."""
    made = []

    def make() -> Qube:
        assert relay_a.running
        qube = lab.qube(unique("fetches"), template=with_fetchmail, pillar=pillar(ALICE))
        made.append(qube)
        assert direct.run(qube).error is None
        return qube

    yield make
    for qube in made:
        lab.remove(qube)


@pytest.fixture
def mailbox(relay_a: Relay) -> Mailbox:
    """Give a mailbox of its own at the provider of ALICE."""
    return Mailbox(relay_a, unique("box"))


@pytest.fixture
def empty_queue(qube: Qube) -> Iterator[None]:
    """Leave nothing to the next test of a module with one qube."""
    yield
    qube.run("postsuper", "-d", "ALL", check=False)


@pytest.fixture
def new_qube(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Qube]]:
    """Give a function that makes a fresh qube, started, removed at the end of the test.

    Its arguments are those of :meth:`.lab.Lab.qube`; name and template may be left out.
    """
    made = []

    def make(name: str = "", *, pillar: Mapping[str, Any] | str | None = None, **options: Any) -> Qube:  # noqa: ANN401
        if "template" not in options:
            options["template"] = request.getfixturevalue("prepared")
        qube = lab.qube(name or unique("mail"), pillar=pillar, **options)
        made.append(qube)
        return qube

    yield make
    for qube in made:
        lab.remove(qube)


@pytest.fixture
def new_template(lab: Lab) -> Iterator[Callable[..., Template]]:
    """Give a function that makes an untouched template, halted, removed at the end of the test."""
    made = []

    def make(name: str = "", **options: Any) -> Template:  # noqa: ANN401
        template = lab.template(name or unique("debian-13"), **options)
        made.append(template)
        return template

    yield make
    for template in made:
        lab.remove(template)
