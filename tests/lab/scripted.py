# SPDX-License-Identifier: Apache-2.0
"""A submission server whose answers a test writes down, port by port and login by login, with a record of all it got.

It verifies no password: who logs in is who the client says it is, and the record tells.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from .container import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab

HANG = "hang"
"""As an answer: none, for ever."""


@dataclass(frozen=True)
class Port:
    """What a port does; what is not said here is what a good relay does.

    Args:
        auth: the mechanisms that it offers, inside TLS where it speaks that.
        tls: whether it offers STARTTLS.
        offers: further keywords of the answer to EHLO.
        answers: verb -> answer; ``GREETING`` and ``END`` (of the message) beside SMTP's own. ``VERB ADDRESS`` is for
            mail of that envelope sender.
        by_login: login -> answers to whoever has logged in so, ``AUTH`` included.
        implicit: whether TLS begins with the connection.
        names: name that a client asks for (SNI) -> what it finds there, once TLS has begun.
        rewrites: whether the header From becomes the address of who has logged in.

    """

    auth: str = "PLAIN LOGIN"
    tls: bool = True
    offers: tuple[str, ...] = ()
    answers: dict[str, str] = field(default_factory=dict)
    by_login: dict[str, dict[str, str]] = field(default_factory=dict)
    implicit: bool = False
    names: dict[str, Port] = field(default_factory=dict)
    rewrites: bool = False


# The record: a JSON object a line.
_SCRIPT = r"""
import asyncio, base64, json, os, re, ssl
PORTS, PLACE = json.loads(%r), %r

def context(*files):
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*(os.path.join(PLACE, file) for file in files))
    return made

def asked_for(connection, name, context_before):
    print("RECORD " + json.dumps({"port": 0, "login": "", "what": f"SNI {name}"}), flush=True)
    connection.asked_name = name
    if name and os.path.exists(os.path.join(PLACE, name + ".pem")):
        connection.context = context(name + ".pem")

CONTEXT = context("certificate.pem", "key.pem")
CONTEXT.sni_callback = asked_for
USUAL = {"GREETING": "220 scripted ESMTP", "AUTH": "235 2.7.0 welcome", "DATA": "354 go on", "END": "250 2.0.0 got it",
         "STARTTLS": "220 go ahead", "QUIT": "221 2.0.0 bye"}

def decoded(text):
    return base64.b64decode(text).decode("utf-8", "replace")

async def talk(port, reader, writer):
    job, login, sender, encrypted = PORTS[port], "", "", PORTS[port]["implicit"]

    def note(what, **more):
        print("RECORD " + json.dumps({"port": int(port), "login": login, "what": what, **more}), flush=True)

    async def answer(verb):
        answers = {**USUAL, **job["answers"], **job["by_login"].get(login, {})}
        given = answers.get(f"{verb} {sender}", answers.get(verb, "250 2.0.0 fine"))
        if given == "hang":
            await asyncio.sleep(86400)
        writer.write(given.encode() + b"\r\n")
        await writer.drain()
        return given

    async def asked(text):
        writer.write(b"334 " + base64.b64encode(text) + b"\r\n")
        await writer.drain()
        return (await reader.readline()).decode().strip()

    def named():
        name = getattr(writer.get_extra_info("ssl_object"), "asked_name", None)
        return job["names"].get(name, job)

    if encrypted:
        job = named()
    note("connect")
    await answer("GREETING")
    while line := await reader.readline():
        text = line.decode("latin-1").rstrip("\r\n")
        note(text)
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        if verb in ("EHLO", "HELO"):
            offers = ["scripted", "PIPELINING", *job["offers"]]
            offers += ["STARTTLS"] if job["tls"] and not encrypted else []
            offers += ["AUTH " + job["auth"]] if job["auth"] and encrypted == job["tls"] else []
            if verb in job["answers"]:
                await answer(verb)
                continue
            *first, last = offers
            writer.write("".join([f"250-{offer}\r\n" for offer in first] + [f"250 {last}\r\n"]).encode())
            await writer.drain()
        elif verb == "STARTTLS":
            await answer(verb)
            await writer.start_tls(CONTEXT)
            encrypted, job = True, named()
        elif verb == "AUTH":
            mechanism, _, initial = rest.partition(" ")
            if mechanism == "PLAIN":
                login = decoded(initial or await asked(b"")).split("\0")[1]
            elif mechanism == "LOGIN":
                login = decoded(initial or await asked(b"Username:"))
                await asked(b"Password:")
            else:
                await asked(b"<1@scripted>")
                writer.write(b"535 5.7.8 no such login\r\n")
                await writer.drain()
                note("login", mechanism=mechanism)
                continue
            note("login", mechanism=mechanism)
            if not (await answer(verb)).startswith("2"):
                login = ""
        elif verb == "DATA":
            if not (await answer(verb)).startswith("3"):
                continue
            message = []
            while (more := await reader.readline()) not in (b".\r\n", b""):
                message.append(more.decode("latin-1"))
            text = "".join(message)
            note("message", text=re.sub("(?m)^From: .*$", f"From: {login}\\r", text) if job["rewrites"] else text)
            await answer("END")
        else:
            if verb == "MAIL":
                sender = re.search("<(.*?)>", rest)[1]
            await answer(verb)
            if verb == "QUIT":
                break
    writer.close()

async def main():
    for port in PORTS:
        async def serve(reader, writer, port=port):
            try:
                await talk(port, reader, writer)
            except (OSError, ssl.SSLError):
                pass
        encrypts = CONTEXT if PORTS[port]["implicit"] else None
        await asyncio.start_server(serve, ["0.0.0.0", "::"], int(port), ssl=encrypts)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Event:
    """Something that the server got.

    Args:
        port: where.
        login: who was logged in, or tried to.
        what: the command line, or ``connect``, ``login``, ``message`` and, with port 0, ``SNI NAME``.
        mechanism: of a login.
        text: of a message.

    """

    port: int
    login: str
    what: str
    mechanism: str = ""
    text: str = ""


def script(ports: dict[int, Port], place: str = "/etc/postfix") -> str:
    """Return the program, to be run by Python.

    Args:
        ports: TCP port -> what it does.
        place: directory of its certificate.pem and key.pem, and of NAME.pem for a name that is asked for.

    """
    return _SCRIPT % (json.dumps({str(port): asdict(does) for port, does in ports.items()}), place)


def events(log: str) -> list[Event]:
    """Return the record that the program has left in a log.

    Args:
        log: its text.

    """
    return [Event(**json.loads(line)) for line in re.findall(r"RECORD (\{.*\})$", log, re.MULTILINE)]


class Scripted:
    """The server as a host of the lab.

    Args:
        lab: where to start it.
        name: its host name.
        ports: TCP port -> what it does.
        certificate: what it shows, as :meth:`.lab.Lab.server` has it.

    """

    def __init__(self, lab: Lab, name: str, ports: dict[int, Port], certificate: str = "valid") -> None:
        self.name = name
        self.host = lab.server(name, script(ports), certificate=certificate)
        wait_for(lambda: self._listens(ports), f"{name}: all its ports", 20, diagnosis=self.host.diagnosis)

    def _listens(self, ports: dict[int, Port]) -> bool:
        open_ports = self.host.run("ss", "-lntH").stdout
        return all(f":{port} " in open_ports for port in ports)

    def events(self) -> list[Event]:
        """Return what it got so far, oldest first."""
        return events(self.host.log())

    def messages(self, subject: str) -> list[Event]:
        """Return the messages with a subject."""
        return [event for event in self.events() if f"Subject: {subject}\r\n" in event.text]

    def wait_for(self, subject: str, timeout: float = 30, diagnosis: Callable[[], str] = str) -> Event:
        """Wait for the message with a subject, and return it.

        Args:
            subject: its subject.
            timeout: seconds to wait.
            diagnosis: gives text for the message when it does not come.

        """
        found = wait_for(
            lambda: self.messages(subject), f"{self.name}: the mail {subject!r}", timeout, diagnosis=diagnosis
        )
        assert isinstance(found, list)
        return found[0]
