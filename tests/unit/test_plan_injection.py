# SPDX-License-Identifier: Apache-2.0
"""smarthost_plan: no text of a pillar adds anything to the planned files but itself."""

import base64
import functools
import re
from random import Random
from typing import Any

from hypothesis import given

import smarthost_plan
from smarthost_pillar import normalise, problems
from tests.postfix_syntax import parameters, rows
from tests.records import FACTS, fuzz, mutated, randoms, record, records
from tests.samples import ALICE
from tests.unit.plans import LISTS, plan

# Of the pillar they hold the user at most.
FIXED = (
    "master.cf",
    "submit-policy",
    "submit-milter",
    "own-names",
    "tables-b/local_senders",
    "tables-b/recipients",
    "tables-b/sender_canonical",
    "tables-b/strange_senders",
    "tables-b/smtp_delivery_status_filter",
)


@given(records)
@fuzz
def test_nothing_that_was_not_meant(record: dict[str, Any]) -> None:
    """Whatever the texts of a pillar hold: each file, read as its program reads it, has the rows that were meant."""
    only_what_was_meant(record)


@given(randoms)
@fuzz
def test_a_mutated_pillar_is_refused_or_adds_no_line(random: Random) -> None:
    """Hostile contents in what is else from a list: addresses, relays, folders, names of lists and users."""
    made = mutated(random, record(random))
    told = problems(made)
    for sentence in told:
        assert sentence.isascii()
        assert sentence.isprintable()
        assert sentence.endswith(".")
    if not told:
        only_what_was_meant(made)


@functools.cache
def usual(user: str = "user") -> dict[str, Any]:
    return plan({"user": user}, tables="tables-b")


def only_what_was_meant(record: dict[str, Any]) -> None:
    regular = normalise(record)
    files = smarthost_plan.plan(regular, "tables-b", FACTS).files
    meant = expected_rows(record)
    for name, wanted in meant.items():
        found = rows(files[f"tables-b/{name}"].content)
        assert found == list(wanted.items()), name
        assert files[f"tables-b/{name}"].rows == wanted, name

    # Of all texts of the pillar, main.cf holds user, table_type and settings.
    plain = {"accounts": [ALICE], "lists": LISTS if record["lists"] else []}
    plain |= {key: record[key] for key in ("table_type", "user")}
    expected = dict(
        parameters(smarthost_plan.plan(normalise(plain), "tables-b", FACTS).files["main.cf"].content)
    )
    if any(":" in account["relay"] for account in record["accounts"]):
        expected |= {"inet_protocols": "all", "smtp_address_preference": "ipv4"}
    names = {*expected}
    expected |= regular["settings"]
    found = parameters(files["main.cf"].content)
    assert sorted(found) == sorted(expected.items())
    lines = [line for line in files["main.cf"].content.split("\n") if line and line[0] != "#"]
    assert len(lines) == len(found)

    # With the user and the type of tables in them, too, they have the lines of any pillar.
    assert names - {"smtp_address_preference"} == dict(parameters(usual()["main.cf"].content)).keys()
    assert dict(found).keys() == names | regular["settings"].keys()
    for name in FIXED:
        assert files[name] == usual(record["user"])[name]
        assert files[name].content.count("\n") == usual()[name].content.count("\n"), name
    assert [name for name, file in files.items() if "\0" in file.content or "\r" in file.content] == []
    checks = files["tables-b/smtp_header_checks"].content.split("\n")
    assert len(checks) == len(usual()["tables-b/smtp_header_checks"].content.split("\n"))
    assert [
        line for line in checks[1:-1] if not re.search(r"\A/\^.*/ (IGNORE|REPLACE [-A-Za-z$: ].*)\Z", line)
    ] == []
    _, generic, end = files["tables-b/smtp_generic"].content.split("\n")
    address = generic.partition(" ")[2]
    assert "$" not in address.replace("$$", "")
    assert address.replace("$$", "$") == regular["accounts"][0]["address"]
    assert end == ""
    assert ("sorting-b/procmailrc" in files) is bool(record["lists"])
    if record["lists"]:
        head, *recipes = files["sorting-b/procmailrc"].content.split("\n:0\n")
        assert head.count("\n") == 5
        assert len(recipes) == len(record["lists"])
        for recipe, item in zip(recipes, record["lists"], strict=True):
            condition, folder, end = recipe.split("\n")
            # It begins at a header, and procmail would join the next line to a backslash.
            assert re.fullmatch(r"\* \^[A-Za-z0-9_-]+:.*[^\\]", condition)
            held = item["list_id"].split("<")[-1].strip(">") if "list_id" in item else item["match"]
            header = f"List-Id: x <{held}>" if "list_id" in item else f"{item['header']}: x {held} y"
            assert re.search(condition[2:], header.replace("*", "any"), re.IGNORECASE)
            assert (folder, end) == (f"{item['folder']}/", "")


def expected_rows(record: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The rows of each table, from the pillar as it was written."""
    accounts = sorted(record["accounts"], key=lambda account: not account.get("default"))
    relay, login, policy, places = {}, {}, {}, []
    for number, account in enumerate(accounts, 1):
        port = account.get("port", 587)
        tls = account.get("tls", {})
        mode = tls.get("mode", "implicit" if port == 465 else "starttls")
        host = account["relay"].lower()
        host = "127.0.0.1" if host == "localhost" else host
        nexthop = f"[{host}]:{'0' * places.count((host, port))}{port}"
        places.append((host, port))
        anonymous = account.get("auth") == "none"
        transport = f"smtp-{'clear' if mode == 'none' else mode}{'-noauth' * anonymous}"
        password = account.get("password")
        if password is None:
            password = base64.b64decode("".join(account.get("password_base64", "").split())).decode()
        for sender in [account["address"], *account.get("senders", [])]:
            relay[sender.lower()] = f"{transport}:{nexthop}"
            if not anonymous:
                login[sender.lower()] = f"{account.get('username', account['address'])}:{password}"
        verified = "secure"
        if "fingerprint" in tls:
            verified = f"fingerprint match={'|'.join(tls['fingerprint']).upper()}"
        elif "ca" in tls:
            verified = f"secure tafile=/etc/postfix/tables-b/ca-{number}.pem"
        name = "" if re.fullmatch("[0-9.]+|.*:.*", host) else f" servername={host}"
        if mode != "none":
            policy[nexthop] = verified + name
    access = [sender.removeprefix("@") for sender in relay]
    default = accounts[0]["address"].lower()
    relay["@localhost.localdomain"] = relay[default].replace(":0", ":")
    if default in login:
        login["@localhost.localdomain"] = login[default]
    return {
        "sender_relay": relay | {"<>": "reports:localhost.localdomain"},
        "saslpass": login,
        "sender_access": dict.fromkeys(access, "OK")
        | dict.fromkeys([name.lower() for name in record["discard_senders"]], "DISCARD"),
        "tls_policy": policy,
    }
