#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Managed by the Salt formula postfix_smarthost.
"""
Look at a message while cleanup(8) takes it in, and say by whom it is and whether it was written here.

- A program that names no envelope sender has the one of its From header, and so the account of that.
- In a message that is passed on (re-sent, bounced), headers that its signature may cover keep what they are.

Run by spawn(8), one process for each connection, with the path of a file as argument: the names that this qube has and
had, one a line. What it answers is carried out before the message is in the queue: whatever is killed, there is one
message, or none and its program is told, or it waits in maildrop.

Sources: MILTER_README of Postfix; libmilter/docs and include/libmilter/mfdef.h of Sendmail 8.18 for the protocol;
RFC 5322 3.4 and 3.6 for addresses and headers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import BinaryIO

# What smtp_header_checks takes out of mail that leaves, and gives back under this prefix.
PREFIX = "Passed-On-"
PRIVATE = ("user-agent", "x-mailer", "x-originating-ip", "x-sender", "x-x-sender")

# SMFIF_ADDHDRS, SMFIF_CHGHDRS, SMFIF_CHGFROM: what it may change.
ACTIONS = 0x01 | 0x10 | 0x40
# SMFIP_NOCONNECT, _NOHELO, _NOBODY, _NOEOH, _NOUNKNOWN, _NODATA: what it need not see; SMFIP_NR_HDR, _NR_MAIL,
# _NR_RCPT: what it does not answer; SMFIP_HDR_LEADSPC: white space stays.
STEPS = 0x1 | 0x2 | 0x10 | 0x40 | 0x100 | 0x200 | 0x80 | 0x4000 | 0x8000 | 0x100000
UNANSWERED = b"DMRLA"

ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS = re.compile(rf"{ATEXT}(?:\.{ATEXT})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.?")
# A comment that holds no other, a quoted string, a route before an address.
COMMENT = re.compile(r"\((?:[^()\\]|\\.)*\)", re.DOTALL)
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def own_names(path: str) -> set[str]:
    """Return the names of this machine, as addresses and Received headers have them; without the file mail waits."""
    with open(path, encoding="ascii", errors="replace") as lines:
        names = {"localhost", *(line.strip().lower() for line in lines if line.strip())}
    return names | {f"{name}.localdomain" for name in names}


def is_own(address: str, names: set[str]) -> bool:
    """Tell whether an address is one inside this qube."""
    local, _, domain = address.rpartition("@")
    # Which is another one's, in the ways of old to write a route.
    if re.search("[%!@]", local) or ("@" not in address and "!" in address):
        return False
    domain = domain.lower().rstrip(".") if "@" in address else ""
    return not domain or domain in names or domain.startswith(("[127.", "[ipv6:::1]", "[::1]"))


def mailboxes(header: str) -> list[str] | None:
    """Return the addresses of a header, None if they are not understood."""
    strings: list[str] = []

    def keep(found: re.Match[str]) -> str:
        strings.append(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL))
        return f"\x00{len(strings) - 1}\x00"

    plain = None if "\x00" in header else _without_comments(header, keep)
    if plain is None:
        return None
    found_addresses = []
    for part in re.split(r"[,;]", plain):
        inside = re.search(r"<([^<>]*)>\s*\Z", part)
        # The name of a group, and a route (RFC 5322 4.4), end in a colon.
        bare = (inside[1] if inside else part).rpartition(":")[2]
        if not bare.strip() and not inside:
            continue
        local, at, domain = bare.strip().rpartition("@")
        local = re.sub(r"\x00(\d+)\x00", lambda mark: strings[int(mark[1])], local.strip())
        address = f"{local}{at}{domain.strip()}" if at else bare.strip()
        if not (ADDRESS.fullmatch(address) or (not at and re.fullmatch(ATEXT, address))):
            return None
        found_addresses.append(address)
    return found_addresses


def _without_comments(header: str, keep: Callable[[re.Match[str]], str]) -> str | None:
    """Return a header without its comments, and with each string as it is to be kept; None if one does not end.

    Strings and comments may hold each other's marks: whichever begins first counts.
    """
    text, rest = "", header
    while found := re.search(r'["(]', rest):
        text, rest = text + rest[: found.start()], rest[found.start() :]
        if rest[0] == '"':
            whole = QUOTED.match(rest)
            if not whole:
                return None
            text, rest = text + keep(whole), rest[whole.end() :]
            continue
        while inner := COMMENT.search(rest):
            if inner.start() == 0:
                rest = " " + rest[inner.end() :]
                break
            rest = rest[: inner.start()] + rest[inner.end() :]
        else:
            return None
    return text + rest


class Message:
    """What is known of one message."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.sender = ""
        self.recipients: list[str] = []
        self.headers: list[tuple[str, str]] = []

    def values(self, name: str) -> list[str]:
        """Return the values of a header, the first one first."""
        return [value for key, value in self.headers if key.lower() == name]

    def is_passed_on(self, names: set[str]) -> bool:
        """Tell whether it came here from another machine: a mail server has written its Received.

        A program that edits a message as a new one may leave that in, but gives it a message ID of its own.
        """
        identity = "".join(self.values("message-id")).strip().rstrip(">").rpartition("@")[2].lower()
        if not identity or identity in names - {"localhost", "localhost.localdomain"}:
            return False
        hosts = [re.search(r"(?:\A|\s)by\s+([^\s;()]+)", value) for value in self.values("received")]
        return any(host is None or host[1].lower().rstrip(".") not in names for host in hosts)

    def author(self) -> tuple[str, list[str] | None]:
        """Return the header that says by whom it is sent, and the addresses in it.

        Who sends a message again is in Resent-From; who sends for several authors in Sender (RFC 5322 3.6.2, 3.6.6).
        """
        for name, sender in (("Resent-From", "Resent-Sender"), ("From", "Sender")):
            values, senders = self.values(name.lower()), self.values(sender.lower())
            if values and values[0].strip():
                addresses = mailboxes(values[0])
                if addresses and len(addresses) > 1 and senders:
                    return sender, mailboxes(senders[0]) or None
                return name, addresses or None
        return "From", []

    def answers(self, names: set[str]) -> list[tuple[bytes, bytes]]:
        """Return what to do with it: commands of the milter protocol."""
        if all(is_own(recipient, names) for recipient in self.recipients):
            return []
        done = self._keep_signature() if self.is_passed_on(names) else []
        # One that is not written simply is nobody's account, which Postfix says.
        if self.sender and not (is_own(self.sender, names) and ADDRESS.fullmatch(self.sender)):
            return done
        header, addresses = self.author()
        if addresses is None or len({address.lower() for address in addresses}) > 1:
            return [_refuse(f"the {header} header does not name one sender")]
        # What Postfix writes itself where there is no From header has the null sender's name.
        if not self.sender and (not addresses or addresses[0].lower().startswith("mailer-daemon")):
            return [_refuse("it has the null sender, and no From header that names an account")]
        if addresses and not (self.sender and is_own(addresses[0], names)):
            return [*done, (b"e", f"<{addresses[0]}>\0".encode())]
        return done

    def _keep_signature(self) -> list[tuple[bytes, bytes]]:
        done = []
        for place, (name, value) in enumerate(self.headers):
            if name.lower() in PRIVATE:
                # One that went is not counted any more: it is always the first.
                done.append(
                    (b"i", (place + 1).to_bytes(4, "big") + f"{PREFIX}{name}\0{value}\0".encode(*CODING))
                )
                done.append((b"m", (1).to_bytes(4, "big") + f"{name}\0\0".encode(*CODING)))
        return done


# Headers are bytes; these bring each back as it was.
CODING = ("utf-8", "surrogateescape")


def _refuse(why: str) -> tuple[bytes, bytes]:
    return b"y", f"550 5.7.1 This message is not sent: {why}. Give the sender with -f\0".encode()


def read(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Return the next command and its data; b"Q" at the end."""
    length = stream.read(4)
    packet = stream.read(int.from_bytes(length, "big")) if len(length) == 4 else b""
    return (packet[:1], packet[1:]) if packet else (b"Q", b"")


def say(stream: BinaryIO, command: bytes, data: bytes = b"") -> None:
    """Write one command."""
    stream.write((len(data) + 1).to_bytes(4, "big") + command + data)


def agree(data: bytes) -> bytes:
    """Return what is agreed upon, from what Postfix offers; end if that is too little."""
    offered = [int.from_bytes(data[i : i + 4], "big") for i in (4, 8)]
    if ACTIONS & ~offered[0] or STEPS & ~offered[1]:
        raise SystemExit("this Postfix does not offer what is needed")
    return b"".join(number.to_bytes(4, "big") for number in (6, ACTIONS, STEPS))


def told(message: Message, command: bytes, text: list[str]) -> Message:
    """Return the message of which a command speaks, with what it says."""
    if command in (b"A", b"K", b"M"):
        message = Message()
    if command == b"M":
        message.sender = text[0].removeprefix("<").removesuffix(">")
    elif command == b"R":
        message.recipients.append(text[0].removeprefix("<").removesuffix(">"))
    elif command == b"L":
        message.headers.append((text[0], text[1]))
    return message


def main() -> None:
    """Answer until the other end is gone."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    names = own_names(sys.argv[1])
    message = Message()
    while True:
        command, data = read(incoming)
        if command == b"Q":
            return
        message = told(message, command, data.decode(*CODING).split("\0"))
        if command == b"O":
            say(outgoing, b"O", agree(data))
        elif command == b"E":
            answers = message.answers(names)
            for answer in answers:
                say(outgoing, *answer)
            if not answers or answers[-1][0] != b"y":
                say(outgoing, b"c")
        elif command not in (b"K", *(bytes([one]) for one in UNANSWERED)):
            say(outgoing, b"c")
        outgoing.flush()


if __name__ == "__main__":
    main()
