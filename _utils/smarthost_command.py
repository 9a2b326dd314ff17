# SPDX-License-Identifier: Apache-2.0
"""
The program ``postfix-smarthost`` in the qube: how mail goes, whether it goes out, and the queue.

It has the standard library and what is packed with it, no Salt.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import smarthost_fetch
import smarthost_fetch_tunnel
import smarthost_muttrc
import smarthost_notes
import smarthost_oauth_authorize
import smarthost_oauth_proxy
import smarthost_queue
import smarthost_status
import smarthost_verify
from smarthost_errors import CommandExecutionError
from smarthost_files import to_ascii, which
from smarthost_in_use import AGAIN
from smarthost_places import here

_WHAT = "a queue ID, the address of an account, or ALL"
# Exit codes: mail goes; it does not, or something is to be done; the command was wrong or cannot do it.
_GOOD, _BAD, _WRONG = 0, 1, 2
_RED, _GREEN, _PLAIN = "\033[31m", "\033[32m", "\033[0m"


def main(arguments: list[str] | None = None) -> int:
    """
    Run the program.

    arguments : list or None
        Those of the command line, None for what it was started with.

    Returns the exit code: 0 if all is well, 1 if mail does not go or something is to be done, 2 if the command is
    wrong or cannot be carried out.
    """
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    if os.geteuid() != 0 and not options.as_user:
        return _as_root(given)
    try:
        return options.run(options)
    except CommandExecutionError as problem:
        print(f"postfix-smarthost: {problem}", file=sys.stderr)
        return _WRONG
    except OSError as problem:
        print(f"postfix-smarthost: {to_ascii(str(problem))}", file=sys.stderr)
        return _WRONG


def _as_root(given: list[str]) -> int:
    """Run the program again by sudo(8), which asks for nothing in a qube."""
    sudo = which("sudo")
    if sudo is None:
        print(
            "postfix-smarthost: only root can read the passwords and the queue: run it as root.",
            file=sys.stderr,
        )
        return _WRONG
    return subprocess.run([sudo, "--", os.path.realpath(sys.argv[0]), *given], check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="postfix-smarthost",
        description="How mail goes in this qube, whether it goes out, and the mail queue.",
        epilog="Exit code 0: all is well. 1: mail does not go, or something is to be done. 2: wrong command.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=run)
        return command

    parser.set_defaults(as_user=False)
    # For the timer of the boot script, its service that fetches mail, and what that runs.
    commands.add_parser("notify").set_defaults(run=_notify)
    commands.add_parser("fetch").set_defaults(run=_fetch, as_user=True)
    command = commands.add_parser("tunnel")
    command.add_argument("address")
    command.set_defaults(run=_tunnel, as_user=True)
    commands.add_parser("oauth").set_defaults(run=_oauth)
    command = commands.add_parser("answers")
    command.add_argument("address")
    command.set_defaults(run=_answers)
    add("status", _status, "what runs, the last success and failure of each account, and what is to be done")
    command = add("verify", _verify, "ask the relay of each account whether it would take mail of it")
    command.add_argument("account", nargs="?", default="", help="only this account: its address")
    command.add_argument(
        "--to", default="", metavar="ADDRESS", help="send a message by each account to this address"
    )
    text = "get the tokens of an account with auth: xoauth2; it tells what to do"
    command = commands.add_parser("authorize", help=text, description=text[:1].upper() + text[1:] + ".")
    command.add_argument("account", help="its address")
    command.add_argument("--browser", action="store_true", help="by a page instead of a device code")
    command.set_defaults(run=_authorize)
    add("queue", _queue, "what waits, and why")
    command = add("flush", _flush, "try deferred mail now")
    command.add_argument("what", nargs="?", default="ALL", help=f"{_WHAT} (the default)")
    for action, text in (
        ("hold", "keep mail in the queue until it is released"),
        ("release", "send mail that is held"),
        ("delete", "delete mail from the queue, for good"),
    ):
        command = add(action, _change, text)
        command.add_argument("what", help=_WHAT)
        command.add_argument("--test", action="store_true", help="only tell what would be changed")
    command = commands.add_parser("muttrc", help="print the lines for mutt that follow from the accounts")
    command.set_defaults(run=_muttrc)
    return parser


def _print(options: argparse.Namespace, told: Any, lines: list[str]) -> None:  # noqa: ANN401 - as JSON has it
    print(json.dumps(told, indent=2) if options.json else "\n".join(lines))


def _colour(text: str, colour: str) -> str:
    return f"{colour}{text}{_PLAIN}" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def _minute(time: str | None) -> str:
    return time[:16].replace("T", " ") if time else "never"


def _status(options: argparse.Namespace) -> int:
    told = smarthost_status.status(here())
    lines = ["Postfix " + (f"runs since {_minute(told['since'])}." if told["since"] else "does not run.")]
    for address, about in told["accounts"].items():
        lines.append(
            f"{address} by {about['relay']} port {about['port']}: last sent {_minute(about.get('sent'))}."
        )
        if about.get("failed"):
            lines.append(f"    Last failure {_minute(about['failed'])}: {about['reason']}.")
        if fetch := about.get("fetch"):
            lines.append(
                f"    Fetched from {fetch['server']} port {fetch['port']}: last look {_minute(fetch['looked'])},"
                f" last message {_minute(fetch['fetched'])}."
            )
    for group in told["waiting"]:
        whose = group["account"] or "no account"
        lines.append(
            f"{group['count']} of {whose} in the queue, the oldest since {_minute(group['oldest'])}"
            + (f", next try {_minute(group['next_try'])}" if group["next_try"] else "")
            + f": {group['reason']}."
        )
        if group["way_out"]:
            lines.append(f"    To do: {group['way_out']}.")
    lines += [_colour(note, _RED) for note in told["notes"]]
    _print(options, told, lines)
    return _GOOD if told["active"] and not told["notes"] else _BAD


def _verify(options: argparse.Namespace) -> int:
    found = smarthost_verify.verify(here(), options.account, options.to)
    lines = [_colour(verdict.line(), _GREEN if verdict.works else _RED) for verdict in found]
    _print(options, [verdict._asdict() for verdict in found], lines)
    return _GOOD if all(verdict.works for verdict in found) else _BAD


def _muttrc(options: argparse.Namespace) -> int:
    print(smarthost_muttrc.muttrc(here()), end="")
    return _GOOD


def _fetch(options: argparse.Namespace) -> int:
    return _service(smarthost_fetch.serve(here()), "fetch")


def _oauth(options: argparse.Namespace) -> int:
    return _service(smarthost_oauth_proxy.Proxy(here()).serve(), "oauth")


def _service(code: int, name: str) -> int:
    if code == AGAIN:
        # By its path: it may be another one by now.
        command = here().command
        os.execv(command, [command, name])  # noqa: S606 - no shell is needed
    return code


def _answers(options: argparse.Namespace) -> int:
    return _GOOD if smarthost_oauth_proxy.answers_now(here(), options.address) else _BAD


def _authorize(options: argparse.Namespace) -> int:
    def say(text: str) -> None:
        print(text, flush=True)

    try:
        say(smarthost_oauth_authorize.authorize(here(), options.account, options.browser, say))
    except KeyboardInterrupt:
        say("Given up: nothing is stored.")
        return _WRONG
    return _GOOD


def _tunnel(options: argparse.Namespace) -> int:
    return smarthost_fetch_tunnel.tunnel(here(), options.address)


def _notify(options: argparse.Namespace) -> int:
    for text in smarthost_notes.notify(here()):
        print(text)
    return _GOOD


def _queue(options: argparse.Namespace) -> int:
    told = smarthost_status.queue(here())
    lines = []
    for message in told:
        lines.append(
            f"{message['queue_id']}  {_minute(message['arrived'])}  {message['size']} bytes"
            f"  {message['sender'] or '<>'} -> {', '.join(message['recipients'])}"
        )
        next_try = f"; next try {_minute(message['next_try'])}" if message["next_try"] else ""
        lines.append(f"    {message['reason'] or 'it is in ' + message['part']}{next_try}")
    _print(options, told, lines or ["The queue is empty."])
    return _GOOD


def _flush(options: argparse.Namespace) -> int:
    tried = smarthost_queue.flush(here(), options.what)
    _print(options, tried, [f"{_count(tried)} tried now."])
    return _GOOD


def _change(options: argparse.Namespace) -> int:
    changed = smarthost_queue.change(here(), options.command, options.what, options.test)
    done = {"hold": "held", "release": "released", "delete": "deleted"}[options.command]
    _print(options, changed, [f"{_count(changed)} {'would be ' if options.test else ''}{done}."])
    return _GOOD


def _count(messages: list[str]) -> str:
    return f"{len(messages)} message{'' if len(messages) == 1 else 's'}"
