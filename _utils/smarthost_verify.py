# SPDX-License-Identifier: Apache-2.0
"""
Find out whether mail goes out: ask the relay of each account, side by side, and send a message if that is wanted.

Sources: sendmail(1) and cleanup(8) of Postfix, for the message and its ID in the log.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import smarthost_log
import smarthost_service
from smarthost_errors import CommandExecutionError
from smarthost_fetch_check import look
from smarthost_fetch_state import known as known_to_fetch
from smarthost_files import to_ascii, which
from smarthost_in_use import Account, accounts, login, no_account, parameter, rows, tables_in_use
from smarthost_oauth_access import Keeper, access_token
from smarthost_oauth_login import Refused
from smarthost_oauth_state import Used, used
from smarthost_places import Places
from smarthost_reasons import explain
from smarthost_relay_check import Check, How, Wrong

# In seconds, for all accounts together; as long again for the messages.
TIMEOUT = 30


class Verdict(NamedTuple):
    """
    What was found out about an account.

    account
        Its address.
    works
        Whether mail goes out.
    text
        What works, or the first thing that does not.
    way_out
        What to do, "" if there is nothing.
    """

    account: str
    works: bool
    text: str
    way_out: str = ""

    def line(self) -> str:
        """Return it as one line."""
        return f"{self.account}: {self.text}" + (f": {self.way_out}" if self.way_out else "")


class _Used(NamedTuple):
    """What Postfix uses for all accounts, read once: it may hold thousands of them."""

    tables: str
    passwords: dict[str, str]
    ca_file: str
    family: int
    by_token: Used
    keeper: Keeper

    @classmethod
    def read(cls, places: Places) -> _Used:
        tables = tables_in_use(places.config_dir) or ""
        return cls(
            tables=os.path.join(places.config_dir, tables),
            passwords=rows(places, tables, "saslpass"),
            ca_file=parameter(places, "smtp_tls_CAfile"),
            family=socket.AF_INET if parameter(places, "inet_protocols") == "ipv4" else socket.AF_UNSPEC,
            by_token=used(places),
            keeper=Keeper(places),
        )

    def how(self, account: Account) -> How:
        """Return what Postfix would use for an account."""
        user, password = ("", "")
        if account.by_token:
            about = self.by_token.accounts[account.address]
            token = access_token(self.keeper, account.address, about, self.by_token)
            user, password = about["username"], token
        elif account.logs_in:
            user, password = login(account, self.passwords)
        own = next((word for word in account.policy if word.startswith("tafile=")), "")
        return How(
            user=user,
            password=password,
            ca_file=os.path.join(self.tables, os.path.basename(own)) if own else self.ca_file,
            private_ca=bool(own),
            family=self.family,
            by_token=account.by_token,
        )


def verify(places: Places, only: str = "", to: str = "") -> list[Verdict]:
    """
    Ask the relay of each account whether it would take mail of it, and where mail is fetched whether it can be.

    places : Places
        The paths of the system.
    only : str
        The address of the one account that is asked about; "" for all.
    to : str
        Where to send a message by each account whose relay takes mail; "" for nowhere.

    Returns what was found out, in the order of the accounts, after 30 seconds at the latest; with ``to`` after a
    minute.

    Raises CommandExecutionError where there is no configuration, no such account, or ``to`` is no address.
    """
    known = accounts(places)
    chosen = [account for account in known if only.lower() in ("", *account.senders)]
    if not chosen:
        raise no_account(only, known)
    if to and not re.fullmatch(r"[!-~]+@[!-~]+\.[!-~]+", to):
        raise CommandExecutionError(
            f"{to_ascii(to)} is no address to send to: write it in full, as in me@example.com."
        )
    to_fetch = known_to_fetch(places)
    fetched = [account.address for account in chosen if account.address in to_fetch]
    with ThreadPoolExecutor(max_workers=len(fetched) or 1) as pool:
        looks = [pool.submit(look, places, address, TIMEOUT) for address in fetched]
        found = _side_by_side(places, chosen)
        if to:
            found = _through_postfix(places, found, to)
        seen = [ended.result() for ended in looks]
    return found + [Verdict(f"{address} (fetch)", *told) for address, told in zip(fetched, seen, strict=True)]


def _side_by_side(places: Places, chosen: list[Account]) -> list[Verdict]:
    deadline = time.monotonic() + TIMEOUT
    verdicts: dict[str, Verdict] = {}
    checks: dict[str, Check] = {}
    used = _Used.read(places)

    def ask(account: Account) -> None:
        try:
            check = checks[account.address] = Check(account, used.how(account), deadline)
            verdicts[account.address] = Verdict(account.address, True, check.run())
        except Wrong as wrong:
            verdicts[account.address] = Verdict(account.address, False, wrong.text, wrong.way_out)
        except Refused as refused:
            verdicts[account.address] = Verdict(account.address, False, refused.text)
        except CommandExecutionError as problem:
            verdicts[account.address] = Verdict(account.address, False, str(problem))
        except Exception as problem:
            # Its text might hold what was sent.
            text = f"the check failed ({type(problem).__name__})"
            verdicts[account.address] = Verdict(account.address, False, text, "report it as a bug")

    threads = [threading.Thread(target=ask, args=(account,), daemon=True) for account in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [
        verdicts.get(account.address)
        or Verdict(account.address, False, _unfinished(checks.get(account.address)))
        for account in chosen
    ]


def _unfinished(check: Check | None) -> str:
    return f"{check.step if check else 'nothing was found out'}, within {TIMEOUT} seconds"


def _through_postfix(places: Places, found: list[Verdict], to: str) -> list[Verdict]:
    """Send a message by each account that works so far, and follow it in the log until a relay has it."""
    if not smarthost_service.active(places):
        raise CommandExecutionError(
            "Postfix does not run on the configuration: postfix-smarthost status says more."
        )
    deadline = time.monotonic() + TIMEOUT
    marks = {verdict.account: _send(verdict.account, to) for verdict in found if verdict.works}
    outcomes: dict[str, Verdict] = {}
    while len(outcomes) < len(marks) and time.monotonic() < deadline:
        time.sleep(0.5)
        log = smarthost_log.lines()
        attempts = {attempt.queue_id: attempt for attempt in smarthost_log.deliveries(log)}
        ids = smarthost_log.message_ids(log)
        for account, mark in marks.items():
            attempt = attempts.get(ids.get(mark, ""))
            if attempt and (attempt.status != "deferred" or account not in outcomes):
                if attempt.status == "sent":
                    outcomes[account] = Verdict(
                        account, True, f"a message to {to} was taken: {to_ascii(attempt.said)}"
                    )
                else:
                    why = explain(attempt.said)
                    outcomes[account] = Verdict(account, False, to_ascii(why.text), why.way_out)
    late = f"the message to {to} has not left within {TIMEOUT} seconds"
    return [
        outcomes.get(
            verdict.account, Verdict(verdict.account, False, late, "postfix-smarthost queue says why")
        )
        if verdict.works
        else verdict
        for verdict in found
    ]


def _send(sender: str, to: str) -> str:
    """Send a message, and return its ID."""
    mark = f"{secrets.token_hex(8)}.verify@{sender.rpartition('@')[2]}"
    text = (
        f"From: {sender}\nTo: {to}\nSubject: postfix_smarthost: does mail go out?\nMessage-ID: <{mark}>\n\n"
        f"This message was sent to see whether mail of {sender} goes out. It does.\n"
    )
    program = which("sendmail")
    if program is None:
        raise CommandExecutionError(
            "sendmail was not found: apply postfix_smarthost to the template of this qube."
        )
    sent = subprocess.run(
        [program, "-i", "-f", sender, "--", to], input=text.encode(), capture_output=True, check=False
    )
    if sent.returncode:
        raise CommandExecutionError(f"sendmail does not take the message: {to_ascii(sent.stderr.decode())}")
    return mark
