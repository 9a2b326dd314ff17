# SPDX-License-Identifier: Apache-2.0
"""A change of lists that is killed: mail is sorted by the old rules or the new ones, and one more apply heals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import ALICE, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube

LIST = "switched.lists.test"
SMARTHOST = "/usr/local/etc/smarthost"


def lists(folder: str) -> dict[str, Any]:
    return pillar(ALICE, lists=[{"list_id": LIST, "folder": folder}])


# By what is there before and after: a change of the rules, lists that come, and lists that go.
CHANGES = {
    "other rules": (lists("old"), lists("new-one"), {"old", "new-one"}),
    "lists that come": (pillar(ALICE), lists("new-one"), {".", "new-one"}),
    "lists that go": (lists("old"), pillar(ALICE), {"old", "."}),
}


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube]) -> Qube:
    """Give a qube that runs."""
    return applied_qube("mail-switch", lists("old"))


def folder_of_new_mail(qube: Qube) -> str:
    """Bring mail of the list in, and return where it is: nowhere else."""
    subject = unique()
    qube.send_smtp(
        to="user@localhost", sender="x@far.test", subject=subject, headers={"List-Id": f"<{LIST}>"}
    )
    qube.wait_for(lambda: qube.queue() == [], "the queue to be empty")
    found = qube.run("grep", "-rlF", subject, "/home/user", "/var/mail", check=False).stdout.split()
    (path,) = found
    return path.removeprefix("/home/user/.maildir/").rpartition("new/")[0].rstrip("/") or "."


def kill(qube: Qube, change: str, step: int) -> bool:
    """End the change before a step, and see that it harms nothing; return whether there was such a step."""
    before, after, folders = CHANGES[change]
    assert direct.run(qube, pillar=before).error is None
    killed = direct.run(qube, pillar=after, kill_before=step).killed
    assert folder_of_new_mail(qube) in folders
    assert direct.run(qube, pillar=after).error is None
    said = direct.run(qube, pillar=after)
    assert said.changes == {}
    assert [step for step in said.steps if not step.startswith("os.mkdir ")] == []
    has_lists = "lists" in after["postfix_smarthost"]
    assert folder_of_new_mail(qube) == ("new-one" if has_lists else ".")
    left = qube.run("find", SMARTHOST, "-mindepth", "1", "-maxdepth", "1", check=False).stdout.split()
    assert len(left) == has_lists
    return killed


def steps(qube: Qube, change: str) -> list[str]:
    """Return what a change does."""
    before, after, _ = CHANGES[change]
    assert direct.run(qube, pillar=before).error is None
    return direct.run(qube, pillar=after).steps


@pytest.mark.parametrize("change", CHANGES)
def test_change_that_is_killed_around_its_commit_point(qube: Qube, change: str) -> None:
    done = steps(qube, change)
    (commit,) = [
        number for number, step in enumerate(done, 1) if step.endswith("/usr/local/etc/postfix/main.cf")
    ]
    for step in (commit, commit + 1):
        assert kill(qube, change, step), done[step - 1]


@pytest.mark.soak
@pytest.mark.parametrize("change", CHANGES)
def test_change_that_is_killed_anywhere(qube: Qube, change: str) -> None:
    for step in range(1, len(steps(qube, change)) + 1):
        kill(qube, change, step)


@pytest.mark.parametrize("change", CHANGES)
def test_change_that_fails_leaves_the_old_rules(qube: Qube, change: str) -> None:
    """As on a full disk, at each step that writes what sorts mail."""
    before, after, _ = CHANGES[change]
    done = steps(qube, change)
    numbers = [
        number for number, step in enumerate(done, 1) if step.startswith("open ") and SMARTHOST in step
    ]
    for number in numbers:
        assert direct.run(qube, pillar=before).error is None
        expected = folder_of_new_mail(qube)
        said = direct.run(qube, pillar=after, fail_at=number)
        assert "No space left on device" in (said.error or ""), said
        assert folder_of_new_mail(qube) == expected
        assert direct.run(qube, pillar=before).changes == {}
