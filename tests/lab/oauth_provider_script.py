# SPDX-License-Identifier: Apache-2.0
"""The program that a provider with tokens runs: endpoints, SMTP, and IMAP and POP3 in front of Dovecot.

Its knobs are those of :mod:`.oauth_provider`, which are put in as JSON.
"""

SCRIPT = r"""
import asyncio, base64, hashlib, json, os, secrets, ssl, time, urllib.parse

PLACE, KNOBS = "/etc/postfix", "/run/lab-knobs.json"
DEFAULTS, MAILBOXES = json.loads(%r), {"imap": 143, "pop3": 110}
refresh, access, devices, codes = {}, {}, {}, {}

def knobs():
    try:
        with open(KNOBS) as file:
            return {**DEFAULTS, **json.load(file)}
    except OSError:
        return DEFAULTS

def context(*files):
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*(os.path.join(PLACE, file) for file in files))
    return made

def asked_for(connection, name, context_before):
    if name and os.path.exists(os.path.join(PLACE, name + ".pem")):
        connection.context = context(name + ".pem")

CONTEXT = context("certificate.pem", "key.pem")
CONTEXT.sni_callback = asked_for

def note(port, login, what, **more):
    print("RECORD " + json.dumps({"port": port, "login": login, "what": what, **more}), flush=True)

# -- endpoints

def issue(user, old=""):
    knob = knobs()
    made = {"token_type": "Bearer", "expires_in": knob["expires_in"], "access_token":
            "access-" + secrets.token_urlsafe(knob["size"])}
    access[made["access_token"]] = (user, time.time() + knob["expires_in"])
    if not (old and knob["rotation"] == "none"):
        made["refresh_token"] = "refresh-" + secrets.token_urlsafe(200)
        refresh[made["refresh_token"]] = user
    if old and knob["rotation"] == "strict":
        del refresh[old]
    return 200, made

def refused(error, text="AADSTS70008: The refresh token has expired. Trace ID: 1-2 Correlation ID: 3", status=400):
    return status, {"error": error, "error_description": text}

def token(form):
    kind = form.get("grant_type", "")
    if kind == "refresh_token":
        user = refresh.get(form.get("refresh_token"))
        note(443, user or "", "refresh")
        return issue(user, form["refresh_token"]) if user else refused("invalid_grant")
    if kind == "authorization_code":
        asked = codes.pop(form.get("code"), None)
        note(443, "", "code", text=json.dumps(asked))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if not asked or base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return refused("invalid_grant", "PKCE")
        if asked["redirect_uri"] != form.get("redirect_uri"):
            return refused("invalid_grant", "redirect_uri")
        return issue(asked["login"])
    note(443, "", "device token")
    if form.get("device_code") not in devices:
        return refused("expired_token")
    return issue(knobs()["agrees"]) if knobs()["agrees"] else refused("authorization_pending")

async def http(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    verb, target, _ = head.split("\r\n")[0].split(" ")
    length = [int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:")]
    body = (await reader.readexactly(length[0])).decode() if length else ""
    url = urllib.parse.urlsplit(target)
    form = dict(urllib.parse.parse_qsl(body or url.query))
    knob, headers = knobs(), {"Content-Type": "application/json"}
    if url.path == "/authorize":
        note(443, "", "authorize", text=json.dumps(form))
        code = secrets.token_urlsafe(20)
        codes[code] = {**form, "login": knob["agrees"]}
        answer = {"code": code} if knob["agrees"] else {"error": "access_denied"}
        query = urllib.parse.urlencode({**answer, "state": form["state"]})
        status, told, headers = 302, "", {"Location": form["redirect_uri"] + "?" + query}
    elif url.path == "/device":
        note(443, "", "device", text=json.dumps(form))
        devices[code := secrets.token_urlsafe(20)] = True
        status, told = 200, {"device_code": code, "user_code": "ABCD-1234", "interval": 1, "expires_in": 30,
                             "verification_uri": "https://login.office.test/agree"}
    elif knob["token"] in ("hang", "drip"):
        note(443, "", "token " + knob["token"])
        for letter in "HTTP/1.1 200 OK\r\n" + "X-Slow: " + "x" * 500:
            await asyncio.sleep(86400 if knob["token"] == "hang" else 1)
            writer.write(letter.encode())
            await writer.drain()
        return
    elif knob["token"]:
        note(443, "", "token otherwise")
        status, headers, told = knob["token"]
        if isinstance(told, int):
            told = "{" + " " * told
    else:
        status, told = token(form)
    data = told.encode() if isinstance(told, str) else json.dumps(told).encode()
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"Content-Length: {len(data)}", "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode() + data)
    await writer.drain()

# -- servers

def login_of(text):
    # Exactly as RFC and providers have it.
    try:
        user, bearer, *rest = base64.b64decode(text, validate=True).decode().split("\x01")
    except ValueError:
        return ""
    if not (user.startswith("user=") and bearer.startswith("auth=Bearer ") and rest == ["", ""]):
        return ""
    whose, until = access.get(bearer.removeprefix("auth=Bearer "), ("", 0))
    right = whose == user.removeprefix("user=") and time.time() < until and not knobs()["refuses"]
    return whose if right else ""

ERROR = base64.b64encode(b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}')

async def smtp(port, reader, writer):
    login, encrypted = "", port == 465

    async def say(text):
        writer.write(text.encode() + b"\r\n")
        await writer.drain()

    async def answer(verb, usual):
        given = knobs()["answers"].get(verb, usual)
        if given == "hang":
            await asyncio.sleep(86400)
        if given == "endless":
            while True:
                await say("250-more")
        if given == "close":
            return ""
        await say(given)
        return given

    note(port, "", "connect")
    if not await answer("GREETING", "220 smtp.office.test ESMTP"):
        return
    while line := await reader.readline():
        text = line.decode("latin-1").rstrip("\r\n")
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        note(port, login, "AUTH" if verb == "AUTH" else text)
        if verb == "EHLO":
            offers = ["smtp.office.test", "SIZE 35882577", "8BITMIME", "PIPELINING", "CHUNKING", "SMTPUTF8"]
            offers += [] if encrypted else ["STARTTLS"]
            offers += ["AUTH " + knobs()["auth"]] if encrypted else []
            if "EHLO" in knobs()["answers"]:
                if not await answer("EHLO", ""):
                    return
                continue
            await say("\r\n".join([f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]))
        elif verb == "STARTTLS":
            await answer(verb, "220 go ahead")
            await writer.start_tls(CONTEXT)
            encrypted = True
        elif verb == "AUTH":
            if knobs()["answers"].get("AUTH"):
                given = await answer("AUTH", "")
                if not given:
                    return
                while given.startswith("334") and await reader.readline():
                    await say(given)
                continue
            mechanism, _, initial = rest.partition(" ")
            if mechanism != "XOAUTH2":
                note(port, "", "login", mechanism=mechanism)
                await say("535 5.7.8 no passwords")
                continue
            if not initial:
                await say("334 ")
                initial = (await reader.readline()).decode("latin-1").strip()
            login = login_of(initial)
            note(port, login, "login", mechanism=mechanism)
            if login:
                await say("235 2.7.0 Accepted")
                continue
            if knobs()["shape"] == "google":
                await say("334 " + ERROR.decode())
                await reader.readline()
            await say(knobs()["refuses"] or "535 5.7.3 Authentication unsuccessful [X.PROD.OUTLOOK.COM]")
        elif verb == "DATA":
            if not (await answer(verb, "354 go on")).startswith("3"):
                continue
            message = []
            while (more := await reader.readline()) not in (b".\r\n", b""):
                message.append(more.decode("latin-1"))
            body = "".join(message).partition("\r\n\r\n")[2]
            # The log takes no long lines.
            note(port, login, "message", text="".join(message)[:9000],
                 mechanism=hashlib.sha256(body.encode("latin-1")).hexdigest())
            if not await answer("END", "250 2.0.0 got it"):
                return
        elif verb == "BDAT":
            size, _, last = rest.partition(" ")
            note(port, login, "message", text=(await reader.readexactly(int(size))).decode("latin-1"))
            await answer("END", "250 2.0.0 got it")
        elif verb == "QUIT":
            await answer(verb, "221 2.0.0 bye")
            return
        else:
            await answer(verb, "250 2.0.0 fine" if login or verb == "NOOP" else "530 5.7.0 log in first")

async def mailbox(protocol, reader, writer):
    # Until the login, it is this program that speaks; then each byte is Dovecot's.
    async def say(data):
        writer.write(data + b"\r\n")
        await writer.drain()

    port, login = writer.get_extra_info("sockname")[1], ""
    note(port, "", "connect")
    await say(b"* OK ready" if protocol == "imap" else b"+OK ready")
    while not login:
        line = (await reader.readline()).decode("latin-1").strip()
        if not line:
            return
        words = line.upper().split()
        tag = b"" if protocol == "pop3" else line.split()[0].encode() + b" "
        if words[-2:] in (["AUTHENTICATE", "XOAUTH2"], ["AUTH", "XOAUTH2"]):
            await say(b"+ ")
            login = login_of((await reader.readline()).decode("latin-1").strip())
            note(port, login, "login", mechanism="XOAUTH2")
            if not login:
                await say(b"+ " + ERROR)
                await reader.readline()
                await say(tag + b"NO AUTHENTICATE failed." if tag else b"-ERR Authentication failure")
        else:
            note(port, "", "other " + " ".join(words[:2]))
            await say(tag + b"BAD log in" if tag else b"-ERR log in")
    inner, outer = await asyncio.open_connection("127.0.0.1", MAILBOXES[protocol])
    box, password = login.partition("@")[0].encode(), b"fetched"
    await inner.readline()
    if protocol == "imap":
        outer.write(b"x LOGIN " + box + b" " + password + b"\r\n")
        while not (await inner.readline()).startswith(b"x OK"):
            pass
    else:
        outer.write(b"USER " + box + b"\r\nPASS " + password + b"\r\n")
        await inner.readline()
        await inner.readline()
    await say(tag + b"OK logged in" if tag else b"+OK logged in")

    async def pipe(source, target):
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except (OSError, ssl.SSLError):
            pass
        target.close()

    await asyncio.gather(pipe(reader, outer), pipe(inner, writer))

async def main():
    served = {443: http, 9993: lambda *w: mailbox("imap", *w), 9995: lambda *w: mailbox("pop3", *w)}
    served |= {port: (lambda *w, port=port: smtp(port, *w)) for port in (465, 587)}
    for port, talk in served.items():
        async def serve(reader, writer, talk=talk):
            try:
                await talk(reader, writer)
            except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
                pass
            writer.close()
        await asyncio.start_server(serve, ["0.0.0.0", "::"], port, ssl=None if port == 587 else CONTEXT)
    await asyncio.Event().wait()

asyncio.run(main())
"""
