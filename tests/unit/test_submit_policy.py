# SPDX-License-Identifier: Apache-2.0
"""submit-policy, asked about real connections over loopback: to the kernel about one, or to its tables of all."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import pwd
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.checkout import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_MPTCP = getattr(socket, "IPPROTO_MPTCP", 262)
# Family and protocol of the client, what it connects to, what the server listens on.
KINDS = {
    "IPv4": (socket.AF_INET, 0, "127.0.0.1", "127.0.0.1"),
    "IPv4, another address": (socket.AF_INET, 0, "127.0.0.2", "127.0.0.2"),
    "IPv6": (socket.AF_INET6, 0, "::1", "::1"),
    "IPv4 from a program that speaks IPv6": (socket.AF_INET6, 0, "::ffff:127.0.0.1", "127.0.0.1"),
}
if Path("/proc/sys/net/mptcp/enabled").exists():
    KINDS["MPTCP"] = (socket.AF_INET, _MPTCP, "127.0.0.1", "127.0.0.1")


def _load() -> Any:  # noqa: ANN401 - a script without a suffix
    loader = importlib.machinery.SourceFileLoader(
        "submit_policy", str(ROOT / "_utils/smarthost_submit_policy.py")
    )
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("submit_policy", loader))
    loader.exec_module(module)
    return module


@pytest.fixture(params=["one", "all"])
def policy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    """Give the policy service, which asks the kernel about one connection, or may not and reads about all."""
    module = _load()

    def refused(*_: object) -> None:
        raise PermissionError

    other = {"one": "listed", "all": "asked"}[request.param]
    monkeypatch.setattr(module, other, refused)
    return module


@contextmanager
def _connected(kind: str) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """Give the client's end of a connection, and what smtpd(8) says of it."""
    family, protocol, to, on = KINDS[kind]
    on_family = socket.AF_INET6 if ":" in on else socket.AF_INET
    with (
        socket.create_server((on, 0), family=on_family) as server,
        socket.socket(family, socket.SOCK_STREAM, protocol) as client,
    ):
        client.connect((to, server.getsockname()[1]))
        there, peer = server.accept()
        with there:
            request = {
                "client_address": peer[0],
                "client_port": str(peer[1]),
                "server_address": there.getsockname()[0],
                "server_port": str(there.getsockname()[1]),
            }
            yield client, request


ME = os.getuid()
NAME = pwd.getpwuid(ME).pw_name
UNKNOWN = "521 5.7.1 It cannot be told whose connection this is"


@pytest.mark.parametrize("kind", KINDS)
def test_user_who_may_and_user_who_may_not(policy: Any, kind: str) -> None:  # noqa: ANN401
    with _connected(kind) as (_, request):
        assert policy.action(request, {ME}) == "DUNNO"
        assert policy.action(request, {ME, 7}) == "DUNNO"
        refused = policy.action(request, {ME + 1})
        assert refused.startswith(f"521 5.7.1 {NAME} may not submit mail here, only ")


@pytest.mark.parametrize("leaving", ["close", "shut down", "reset"])
@pytest.mark.parametrize("kind", KINDS)
def test_connection_that_was_left_is_nobody_s(policy: Any, kind: str, leaving: str) -> None:  # noqa: ANN401
    with _connected(kind) as (client, request):
        if leaving == "shut down":
            client.shutdown(socket.SHUT_WR)
        elif leaving == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        else:
            client.close()
        # The kernel shows what nobody holds any more as root's.
        assert policy.action(request, {ME, 0}) == UNKNOWN


@pytest.mark.parametrize(
    "change",
    [
        {"client_port": "1"},
        {"client_address": "127.0.0.9"},
        {"server_address": "127.0.0.9"},
        {"server_port": "1"},
        {"client_address": "::1"},
        {"client_address": "unknown"},
        {"client_address": ""},
        {"client_port": "0"},
        {"client_port": "unknown"},
        {"client_port": "70000"},
        {"client_port": "-1"},
    ],
    ids=str,
)
def test_connection_that_is_not_there_is_nobody_s(policy: Any, change: dict[str, str]) -> None:  # noqa: ANN401
    with _connected("IPv4") as (_, request):
        assert policy.action(request | change, {ME, 0}) == UNKNOWN
        missing = {key: value for key, value in request.items() if key not in change}
        assert policy.action(missing, {ME, 0}) == UNKNOWN


def test_port_that_somebody_listens_on_is_no_connection(policy: Any) -> None:  # noqa: ANN401
    with socket.create_server(("127.0.0.1", 0)) as server, _connected("IPv4") as (_, request):
        port = str(server.getsockname()[1])
        assert policy.action(request | {"client_port": port}, {ME, 0}) == UNKNOWN


def test_one_connection_is_asked_for_where_the_kernel_lets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of all connections are walked through only where it does not: they grow with memory."""
    policy = _load()
    monkeypatch.setattr(policy, "listed", lambda *_: pytest.fail("the tables were read"))
    with _connected("IPv4") as (_, request):
        assert policy.action(request, {ME}) == "DUNNO"
