# SPDX-License-Identifier: Apache-2.0
"""postfix_smarthost.configured: two applies at once, and one that is killed."""

import contextlib
import fcntl
import os
import signal
import threading
from typing import Any

import pytest

import smarthost_apply
from smarthost_places import Places
from tests.functional.changes import change_password
from tests.functional.qube import BOBS, LOCK_TIMEOUT, Qube, unchanged


def test_a_second_apply_waits_and_then_says_so(configured: Qube) -> None:
    change_password(configured)
    world = configured.world()
    descriptor = os.open(Places(str(configured.root)).lock, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        ret = configured.apply()
        assert (ret.result, ret.changes) == (False, {})
        assert ret.comment == (
            "Another apply is changing the mail configuration of this qube: wait for it and apply again."
        )
        assert configured.world() == world
        # A prediction changes nothing, and need not wait.
        assert configured.apply(test=True).changes
        threading.Timer(LOCK_TIMEOUT / 3, os.close, [os.dup(descriptor)]).start()
    finally:
        os.close(descriptor)


def test_two_applies_at_once_leave_one_of_the_two(configured: Qube) -> None:
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                smarthost_apply.LOCK_TIMEOUT = 60
                for account in configured.record["accounts"]:
                    account["password"] = f"of-{number}"
                code = 0 if configured.apply().result else 1
            os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    configured.is_good()
    (last,) = {
        configured.query(sender, "saslpass")[-4:] for sender in ("alice@example.com", "bob@example.org")
    }
    assert last in ("of-0", "of-1", "of-2")
    for account in configured.record["accounts"]:
        account["password"] = last
    unchanged(configured)


@pytest.mark.parametrize(
    ("step", "number"),
    # Of the calls of os.replace, the last four are the swap.
    [("fsync", 12), *(("replace", number) for number in (6, 7, 8, 9))],
)
def test_a_kill_leaves_one_of_the_two_and_the_next_apply_heals(
    configured: Qube, step: str, number: int
) -> None:
    change_password(configured)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            real, left = getattr(os, step), [number]

            def kill(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            setattr(os, step, kill)
            configured.apply()
        os._exit(0)
    assert os.waitpid(child, 0)[1] in (0, signal.SIGKILL)
    # main.cf and the tables that it names belong together.
    password = configured.query("bob@example.org", "saslpass")
    assert password in (f"bob:{BOBS}", "bob:new-s3cret")
    configured.applied()
    configured.is_good()
    assert configured.query("bob@example.org", "saslpass") == "bob:new-s3cret"
    assert configured.holding(BOBS) == []
    unchanged(configured)
