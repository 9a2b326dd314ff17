# SPDX-License-Identifier: Apache-2.0
"""
Bring the configuration of Postfix onto an app qube, as one transaction.

``/usr/local/etc/postfix``, which lasts, is mounted over ``/etc/postfix`` at each boot; on a machine that is no qube,
the configuration is in ``/etc/postfix`` itself. Its ``main.cf`` names one of two directories of lookup tables. A change
is built and checked in a staging directory, its tables go into the directory that is not in use, and the rename of
``main.cf`` makes it live, so that Postfix never sees a mixture, whatever is killed and when.

Sources: postfix(1), postconf(1) and master(8) of Postfix 3.7 to 3.11; rename(2).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import smarthost_disk
import smarthost_facts
import smarthost_fetchmail
import smarthost_in_use
import smarthost_mutt_line
import smarthost_pillar
import smarthost_plan
import smarthost_programs
import smarthost_providers
import smarthost_requirements
import smarthost_service
import smarthost_sorting
import smarthost_staging
import smarthost_take_over
from smarthost_errors import CommandExecutionError
from smarthost_fetchmailrc import fetched
from smarthost_files import acting_as, locked, make_public, remove, run, sync, to_ascii, which
from smarthost_manifest import Switch
from smarthost_oauth import XOAUTH2, by_xoauth2, tokens_name
from smarthost_oauth_tokens import forget as forget_tokens
from smarthost_places import SORTING, STAGING, TABLES, TOP_FILES, Places
from smarthost_plan import Plan

# How long to wait for another apply, in seconds.
LOCK_TIMEOUT = 60


def configure(
    pillar: Any,  # noqa: ANN401 - a pillar may hold anything
    facts: dict[str, str],
    places: Places,
    template: str = "",
    prepares: bool = False,
    test: bool = False,
) -> dict[str, Any]:
    """
    Make the configuration of Postfix the one that the pillar of this qube asks for.

    pillar : Any
        The value of the pillar key ``postfix_smarthost``.
    facts : dict
        ``ca_file`` and ``procmail`` of ``smarthost_plan.Facts``.
    places : Places
        The paths of the system.
    template : str
        The name of the template of this qube, "" if it has none.
    prepares : bool
        Whether this machine is its own template, as a standalone qube is: with ``test``, what the template side
        would bring may then still be missing.
    test : bool
        Only tell what would change.

    Returns a dictionary of ``changes`` (names, never values; empty when nothing changed) and ``notes``, sentences.

    Raises CommandExecutionError with one sentence for each problem, of which none holds a password.
    """
    record, problems = smarthost_pillar.check(pillar)
    _raise(problems)
    user = smarthost_requirements.user(record["user"])
    if not (test and prepares):
        _raise(smarthost_requirements.missing(record, facts, places, template))
    known = smarthost_facts.facts(places, user) | {"hostname": socket.gethostname(), **facts}
    maildirs = smarthost_sorting.maildirs(record)
    config_dir = places.config_dir
    with told_in_a_sentence(), contextlib.nullcontext() if test else lock(places):
        old = smarthost_in_use.tables_in_use(config_dir)
        new = TABLES[old == TABLES[0]] if old else smarthost_disk.unused_tables(config_dir)
        plan = smarthost_plan.plan(record, new, known)
        changes = smarthost_disk.differences(
            places, old, smarthost_plan.plan(record, old, known) if old else plan
        )
        replace = "files" in changes
        notes = smarthost_take_over.not_carried_over(places, plan, record, user.pw_dir)
        told = {name for names in changes.get("accounts", {}).values() for name in names}
        notes += smarthost_take_over.other_fetchmail(plan, user.pw_dir) if replace else []
        notes += smarthost_providers.derived([a for a in record["accounts"] if told & {*a["senders"]}])
        renewed = smarthost_programs.renew_boot_script(places, test=True) if replace else {}
        if renewed:
            changes["boot_script"] = {how: [path] for path, how in renewed.items()}
        missing = [name for name in maildirs if not os.path.isdir(os.path.join(user.pw_dir, name))]
        if missing:
            changes["maildirs"] = {"added": [os.path.join(user.pw_dir, name) for name in missing]}
        former = [other for other in smarthost_in_use.users(places) if other.pw_name != user.pw_name]
        if changes and not test:
            with _directories(missing, user):
                if replace:
                    _Change(places, old, new, plan, record["user"], template).make()
        changes.update(_of_users(places, record, user, former, test))
        if record["mutt"] and smarthost_mutt_line.is_missing():
            notes.append(smarthost_mutt_line.MISSING)
    return {"changes": changes, "notes": notes}


def _of_users(
    places: Places,
    record: dict[str, Any],
    user: pwd.struct_passwd,
    former: list[pwd.struct_passwd],
    test: bool,
) -> dict[str, dict[str, list[str]]]:
    """Bring what is in the homes of the user and of former ones to what the record asks for; return the changes."""
    changes: dict[str, dict[str, list[str]]] = {}
    wanted = [account["address"].lower() for account in fetched(record)]
    forgotten = forget_tokens(
        places, [tokens_name(account) for account in by_xoauth2(record["accounts"])], test
    )
    if forgotten:
        changes["tokens"] = {"removed": forgotten}
    for whose in (user, *former):
        muttrc = smarthost_mutt_line.keep(whose, record["mutt"] and whose is user, test)
        forgotten = smarthost_fetchmail.forget(places, whose, wanted if whose is user else [], test)
        for what, found in (("muttrc", muttrc), ("fetched", {"removed": forgotten} if forgotten else {})):
            for how, paths in found.items():
                changes.setdefault(what, {}).setdefault(how, []).extend(paths)
    return changes


def lock(places: Places) -> contextlib.AbstractContextManager[None]:
    """Keep a second apply out, and a boot script."""
    return locked(
        places.lock,
        LOCK_TIMEOUT,
        "Another apply is changing the mail configuration of this qube: wait for it and apply again.",
    )


@contextlib.contextmanager
def told_in_a_sentence(done: str = "written, so the old one stays in use") -> Iterator[None]:
    """Turn a full disk and the like into a sentence; what was done by then is undone where it happened."""
    try:
        yield
    except OSError as problem:
        where = f" ({problem.filename})" if isinstance(problem.filename, str) else ""
        raise CommandExecutionError(
            f"The configuration cannot be {done}: {problem.strerror}{to_ascii(where)}."
        ) from None


def _raise(problems: list[str]) -> None:
    if problems:
        raise CommandExecutionError("\n".join(problems))


@contextlib.contextmanager
def _directories(names: list[str], user: pwd.struct_passwd) -> Iterator[None]:
    """Make directories below the home of the user, and take them away again if what follows fails."""
    made = []
    home = os.open(user.pw_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in names:
            with acting_as(user):
                os.mkdir(name, 0o700, dir_fd=home)
            made.append(name)
        yield
    except BaseException:
        for name in reversed(made):
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=home)
        raise
    finally:
        os.close(home)


class _Change:
    """The change from one configuration to another."""

    def __init__(
        self, places: Places, old: str | None, new: str, plan: Plan, user: str, template: str
    ) -> None:
        self._places = places
        self._config_dir = places.config_dir
        self._staging = os.path.join(places.config_dir, STAGING)
        self._old = old
        self._known = smarthost_in_use.manifest(places.config_dir, old)
        self._new = new
        self._plan = plan
        self._user = user
        self._template = template

    def make(self) -> None:
        """Build the plan in a staging directory, check it there, and make it live."""
        os.makedirs(self._config_dir, exist_ok=True)
        make_public(self._config_dir)
        remove(self._config_dir, STAGING)
        self._remove_sorting(SORTING[self._new])
        try:
            with self._old_one_named():
                smarthost_staging.build(self._places, self._staging, self._plan)
                smarthost_staging.preflight(self._places, self._staging, self._plan, self._template)
            # That of an older version may not know these tables; the present one knows those of older versions.
            smarthost_programs.renew_boot_script(self._places)
            remove(self._config_dir, self._new)
            self._make_live()
        except BaseException:
            self._remove_sorting(SORTING[self._new])
            raise
        finally:
            remove(self._config_dir, STAGING)
            if not os.listdir(self._config_dir):
                os.rmdir(self._config_dir)
        if self._known and self._known.fetches == self._plan.manifest.fetches:
            smarthost_service.restart_fetching(self._places)
        else:
            # It runs as this user, and another one reads this user's notes; the state that follows starts both again.
            smarthost_service.stop_fetching(self._places)
            smarthost_service.stop_oauth(self._places)
        if XOAUTH2 not in self._plan.manifest.allowed:
            smarthost_service.stop_oauth(self._places)
        remove(self._config_dir, *smarthost_disk.leftovers(self._places, self._new))
        self._remove_sorting(*smarthost_disk.unused_sorting(self._places, self._new))
        make_public(self._config_dir)

    def _remove_sorting(self, *names: str) -> None:
        remove(self._places.smarthost_dir, *names)
        with contextlib.suppress(OSError):
            os.rmdir(self._places.smarthost_dir)

    @contextlib.contextmanager
    def _old_one_named(self) -> Iterator[None]:
        """Let each refusal say what is in use now."""
        try:
            yield
        except CommandExecutionError as problem:
            kept = " The old configuration stays in use."
            if "stays in use" in str(problem) or not self._has("main.cf"):
                kept = ""
            raise CommandExecutionError(f"{problem}{kept}") from None

    def _has(self, name: str) -> bool:
        return os.path.lexists(os.path.join(self._config_dir, name))

    def _make_live(self) -> None:
        """Put what is staged in place; if Postfix does not run with it, put the old configuration back."""
        service = _Service(self._places, self._old, self._plan.manifest.switch(self._known))
        # The old files stay here until Postfix runs on the new ones.
        kept = {name: os.path.join(self._staging, f"{name}.old") for name in TOP_FILES}
        for name, copy in kept.items():
            if self._has(name):
                shutil.copy2(os.path.join(self._config_dir, name), copy, follow_symlinks=False)
        kept_by_hand = smarthost_take_over.kept(self._places)
        try:
            smarthost_take_over.keep(self._config_dir, kept_by_hand)
            service.before()
            self._switch()
            service.after(self._user)
        except BaseException as failure:
            for name, copy in kept.items():
                if os.path.lexists(copy):
                    os.replace(copy, os.path.join(self._config_dir, name))
                else:
                    remove(self._config_dir, name)
            remove(self._config_dir, *kept_by_hand.values())
            back = service.resume()
            remove(self._config_dir, self._new)
            if isinstance(failure, CommandExecutionError):
                raise CommandExecutionError(f"{failure}{back}") from None
            raise

    def _switch(self) -> None:
        """Rename what is staged into place; main.cf, which names the tables, last: with it everything changes."""
        sync(os.path.join(self._staging, self._new))
        sorting = self._places.of(SORTING[self._new])
        if os.path.isdir(sorting):
            for directory in (
                sorting,
                self._places.smarthost_dir,
                os.path.dirname(self._places.smarthost_dir),
            ):
                sync(directory)
        for name in (self._new, *TOP_FILES):
            path = os.path.join(self._config_dir, name)
            os.replace(os.path.join(self._staging, name), path)
            if which("restorecon") and os.path.exists("/sys/fs/selinux/enforce"):
                # The labels follow the path under /rw, of which /usr/local is a mount.
                run("restorecon", "-RF", path.replace("/usr/local/", "/rw/usrlocal/", 1))
            sync(self._config_dir)


class _Service:
    """Postfix, while its configuration is switched."""

    def __init__(self, places: Places, old: str | None, switch: Switch) -> None:
        self._places = places
        self._runs = smarthost_service.uses(places)
        self._restart = switch is Switch.RESTART
        # One that somebody has stopped is tried all the same, as the next boot would: else it was too late to go back.
        self._tried = not self._runs and old is not None and os.access(places.boot_script, os.X_OK)
        self._is_new = not os.path.lexists(os.path.join(places.config_dir, "main.cf"))

    def before(self) -> None:
        """Let it be down while the files are switched, where that matters."""
        if self._runs and self._restart:
            smarthost_service.stop(self._places)

    def after(self, user: str) -> None:
        """Let it run on the new files; raise CommandExecutionError if it does not."""
        if self._runs:
            if self._restart:
                smarthost_service.start(self._places)
            else:
                smarthost_service.reload(self._places)
            smarthost_service.takes_mail(self._places, user)
        elif self._tried:
            smarthost_service.activate(self._places, applying=True)
            smarthost_service.takes_mail(self._places, user)
            # The state that follows starts it, and says so.
            smarthost_service.stop(self._places)

    def resume(self) -> str:
        """Let it run on the old files, which are back; return what has become of them, in a sentence."""
        if self._is_new:
            return ""
        try:
            if self._tried:
                smarthost_service.activate(self._places, applying=True)
            elif self._runs:
                self._resume()
        except CommandExecutionError as problem:
            return f" The old configuration is back, but {problem}"
        return " The old configuration is back in use."

    def _resume(self) -> None:
        running = smarthost_service.running(self._places)
        if running and not self._restart:
            # It is not stopped: it may not come up again.
            smarthost_service.reload(self._places)
            return
        if running:
            smarthost_service.stop(self._places)
        smarthost_service.start(self._places)
