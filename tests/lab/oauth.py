# SPDX-License-Identifier: Apache-2.0
"""What the tests of XOAUTH2 share: agreeing, tokens in the qube, and why mail waits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import direct
from .accounts import RECIPIENT, unique

if TYPE_CHECKING:
    import subprocess

    from .oauth_provider import OAuthProvider
    from .qube import Qube

OLIVE, OSCAR, OTTO = (f"{name}@office.test" for name in ("olive", "oscar", "otto"))
UNIT = "postfix-smarthost-oauth"
TOKENS = "/usr/local/etc/smarthost/tokens"


def authorize(
    qube: Qube,
    provider: OAuthProvider,
    address: str,
    **knobs: Any,  # noqa: ANN401
) -> subprocess.CompletedProcess[str]:
    """Authorize an account by a device code, as its user.

    Args:
        qube: where.
        provider: who gives the tokens.
        address: of the account.
        knobs: of the provider, meanwhile and from now on.

    """
    provider.turn(**{"agrees": address, **knobs})
    done = qube.run(direct.PROGRAM, "authorize", address, check=False, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def send(qube: Qube, sender: str) -> str:
    """Send a message and return its subject."""
    subject = unique()
    qube.send(sender=sender, to=RECIPIENT, subject=subject)
    return subject


def tokens(qube: Qube) -> dict[str, dict[str, Any]]:
    """Return what is in the files of the tokens, by their names."""
    names = qube.run("sh", "-c", f"cd {TOKENS} && ls *.json 2>/dev/null", check=False).stdout.split()
    return {name: json.loads(qube.run("cat", f"{TOKENS}/{name}").stdout) for name in names}


def restart(qube: Qube) -> None:
    """Let the proxy forget what it keeps in its memory."""
    qube.run("systemctl", "restart", UNIT)
    qube.wait_for(lambda: ":587 " in qube.run("ss", "-lntH").stdout, "the proxy")


def expire(qube: Qube) -> None:
    """Let all access tokens be old."""
    for name, told in tokens(qube).items():
        qube.write(f"{TOKENS}/{name}", json.dumps({**told, "expires": 1}), mode="0600")
