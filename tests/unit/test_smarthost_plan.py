# SPDX-License-Identifier: Apache-2.0
"""smarthost_plan: each promise as it stands in the planned files, and that no text of a pillar adds to them."""

import base64
import functools
import re
from random import Random
from typing import Any

import pytest
from hypothesis import given

import smarthost_places
import smarthost_plan
import smarthost_sorting
from smarthost_pillar import normalise, problems
from tests.postfix_syntax import logical_lines, parameters, rows
from tests.records import FACTS, fuzz, mutated, randoms, record, records
from tests.samples import ALICE, BOB, FINGERPRINT, OTHER_FINGERPRINT

LISTS = [
    {"list_id": "users.example.com", "folder": "list/users"},
    {"list_id": "a+b.example", "folder": "b"},
]

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


def plan(record: dict[str, Any] | None = None, tables: str = "tables-a", **facts: Any) -> dict[str, Any]:  # noqa: ANN401
    record = {"accounts": [ALICE, BOB]} | (record or {})
    return smarthost_plan.plan(normalise(record), tables, FACTS | facts).files


def main_cf(record: dict[str, Any] | None = None, **facts: Any) -> dict[str, str]:  # noqa: ANN401
    return dict(parameters(plan(record, **facts)["main.cf"].content))


def table(name: str, record: dict[str, Any] | None = None, **facts: Any) -> dict[str, str]:  # noqa: ANN401
    return dict(rows(plan(record, **facts)[f"tables-a/{name}"].content))


def services() -> dict[str, list[str]]:
    """The services of master.cf: name and type, then what follows."""
    words = [line.split() for line in logical_lines(plan()["master.cf"].content)]
    return {f"{name} {kind}": rest for name, kind, *rest in words}


# -- routing --------------------------------------------------------------------------------------------------


def test_each_sender_has_its_own_relay_and_login() -> None:
    """Two accounts at one provider, and port 465 beside 587: neither fits into tables by relay."""
    record = {
        "accounts": [ALICE | {"senders": ["me@alias.example"]}, ALICE | {"address": "al@example.com"}, BOB]
    }
    assert table("sender_relay", record) == {
        "alice@example.com": "smtp-starttls:[mail.example.com]:587",
        "me@alias.example": "smtp-starttls:[mail.example.com]:587",
        # The zero keeps it apart from alice's in qmgr(8).
        "al@example.com": "smtp-starttls:[mail.example.com]:0587",
        "bob@example.org": "smtp-implicit:[smtp.example.org]:465",
        # Of the default account.
        "@localhost.localdomain": "smtp-starttls:[mail.example.com]:587",
        # A report has no sender: it would be bounced, and lost.
        "<>": "reports:localhost.localdomain",
    }
    record["accounts"][1] |= {"username": "al", "password": "other pass: word"}
    assert table("saslpass", record) == {
        "alice@example.com": f"alice@example.com:{ALICE['password']}",
        "me@alias.example": f"alice@example.com:{ALICE['password']}",
        "al@example.com": "al:other pass: word",
        "bob@example.org": f"bob@example.org:{BOB['password']}",
        "@localhost.localdomain": f"alice@example.com:{ALICE['password']}",
    }


def test_a_whole_domain_is_a_row_of_its_own() -> None:
    record = {"accounts": [ALICE | {"senders": ["@Own.example"]}, BOB | {"senders": ["bob@own.example"]}]}
    ways = table("sender_relay", record)
    assert ways["@own.example"] == "smtp-starttls:[mail.example.com]:587"
    assert ways["bob@own.example"] == "smtp-implicit:[smtp.example.org]:465"
    assert table("saslpass", record)["@own.example"].startswith("alice@example.com:")
    assert table("sender_access", record)["own.example"] == "OK"
    assert main_cf(record)["recipient_delimiter"] == "+"


def test_a_sender_without_an_account_is_bounced() -> None:
    """Without these, Postfix delivers to the recipient's mail exchanger itself."""
    parameters = main_cf()
    assert parameters["default_transport"] == parameters["relay_transport"] == "unlisted:"
    # Whatever the message and its sender are, the one program that gets it reports it and ends: EX_UNAVAILABLE.
    flags, user, *argv = services()["unlisted unix"][6:]
    assert (flags, user) == ("flags=q", "user=nobody")
    command = " ".join(argv)
    assert re.fullmatch(
        r'argv=/bin/sh -c \{printf "5\.7\.1 [^"$`\\]+" "\$\$1"; exit 69\} sh \$\{sender\}', command
    )
    for name in (
        "relayhost",
        "relay_domains",
        "virtual_alias_maps",
        "virtual_mailbox_domains",
    ):
        assert parameters[name] == "", name
    strange, local, ways = parameters["sender_dependent_default_transport_maps"].split(", ")
    assert local.endswith("/local_relay")
    assert plan()["tables-a/local_relay"].content.endswith("/ smtp-starttls:[mail.example.com]:587\n")
    assert strange.endswith("/strange_senders")
    assert ways.endswith("/sender_relay")
    patterns = [
        line for line in plan()["tables-a/strange_senders"].content.split("\n") if line.startswith("/")
    ]
    assert [line for line in patterns if not line.endswith("/ unlisted:")] == []
    # No way out, but for whom it is none of a relay's: local recipients.
    assert parameters["transport_maps"] == parameters["mydestination"].split(", ")[-1]
    results = [line.rpartition("$/ ")[2] for line in plan()["tables-a/recipients"].content.split("\n")[1:-1]]
    assert [result.partition(":")[0] for result in results] == ["local", "", "error"]


def test_no_service_delivers_without_an_account() -> None:
    running = services()
    assert [
        name for name, rest in running.items() if rest[5] in ("smtp", "lmtp", "pipe") and "unix" in name
    ] == [
        "smtp-starttls unix",
        "smtp-implicit unix",
        "smtp-clear unix",
        "smtp-starttls-noauth unix",
        "smtp-implicit-noauth unix",
        "smtp-clear-noauth unix",
        "unlisted unix",
    ]
    # The null sender's transport delivers to the user, by no address of the message.
    assert running["reports unix"][5] == "virtual"
    assert "virtual_mailbox_maps=static:.maildir/" in running["reports unix"]


def test_each_transport_and_service_that_is_named_is_there() -> None:
    running = services()
    transports = {value.partition(":")[0] for value in table("sender_relay").values()} | {
        "error",
        "local",
        "virtual",
    }
    assert {f"{name} unix" for name in transports - {"virtual"}} <= {*running}
    for name in (
        "pickup",
        "cleanup",
        "qmgr",
        "rewrite",
        "bounce",
        "defer",
        "trace",
        "tlsmgr",
        "retry",
        "proxymap",
    ):
        assert f"{name} unix" in running
    # Connection reuse without tlsproxy(8) defers all mail.
    assert main_cf()["smtp_tls_connection_reuse"] == "yes"
    assert "tlsproxy unix" in running


def test_nothing_is_chrooted() -> None:
    """In a chroot, the copies of resolv.conf and of the CA certificates go stale."""
    assert {name for name, rest in services().items() if rest[2] != "n"} == set()


def test_local_senders_send_through_the_default_account() -> None:
    record = {"accounts": [ALICE, BOB | {"default": True}]}
    assert table("sender_relay", record)["@localhost.localdomain"] == "smtp-implicit:[smtp.example.org]:465"
    assert table("saslpass", record)["@localhost.localdomain"] == f"bob@example.org:{BOB['password']}"
    # By cleanup(8), before the account is chosen.
    assert main_cf(record)["sender_canonical_maps"].endswith("/sender_canonical")
    assert set(re.findall(r"/ (.*)", plan(record)["tables-a/sender_canonical"].content)) == {
        "$1@localhost.localdomain"
    }


@pytest.mark.parametrize("hostname", ["", "mail.example.com"])
def test_a_host_name_with_dots_is_nobody_s_local_domain(hostname: str) -> None:
    files = plan(hostname=hostname)
    assert "example" not in main_cf(hostname=hostname)["mydestination"]
    assert "example" not in files["tables-a/recipients"].content
    for name in ("sender_canonical", "smtp_generic"):
        domains = re.findall(r"(\S*)@\(mail\\\.example\\\.com", files[f"tables-a/{name}"].content)
        assert [domain for domain in domains if not domain.endswith("(root|user)")] == []


# -- passwords ------------------------------------------------------------------------------------------------


def test_a_password_is_sent_only_over_verified_tls() -> None:
    parameters = main_cf()
    assert parameters["smtp_tls_security_level"] == "secure"
    assert parameters["smtp_tls_secure_cert_match"] == "nexthop"
    assert parameters["smtp_tls_CAfile"] == FACTS["ca_file"]
    assert parameters["smtp_tls_mandatory_protocols"] == ">=TLSv1.2"
    assert parameters["smtp_sasl_security_options"] == "noanonymous, noplaintext"
    assert parameters["smtp_sasl_tls_security_options"] == "noanonymous"
    # An empty list would take any mechanism.
    assert {*parameters["smtp_sasl_mechanism_filter"].split(", ")} == {
        *("plain", "login", "cram-md5"),
        *(f"scram-sha-{size}" for size in (1, 224, 256, 384, 512)),
    }
    # From Postfix 3.10 on; an older one takes a parameter that nothing refers to for a mistake.
    assert parameters["tls_required_enable"] == "no"
    assert [value for value in parameters.values() if "${tls_required_enable?}" in value]
    for name, options in services().items():
        if name.startswith("smtp-"):
            clear = name.startswith("smtp-clear")
            assert ("smtp_tls_wrappermode=yes" in options) is name.startswith("smtp-implicit"), name
            assert bool([word for word in options if "security_level" in word]) is clear, name
            bound = ["smtp_bind_address=127.0.0.1", "smtp_bind_address6=::1", "smtp_bind_address_enforce=yes"]
            assert [word for word in options if "smtp_bind" in word] == bound * clear, name
            assert ("smtp_sasl_auth_enable=no" in options) is ("noauth" in name), name


def test_a_password_is_looked_up_by_sender_and_never_missing() -> None:
    """A sender without a row would be submitted without AUTH: the backstop defers it instead."""
    parameters = main_cf()
    assert parameters["smtp_sender_dependent_authentication"] == "yes"
    assert re.fullmatch(
        r"\S+/saslpass, pipemap:\{regexp:\{\{/\^\\\[/ none\}\}, fail:no_password\}",
        parameters["smtp_sasl_password_maps"],
    )
    # What is looked up last is the relay: each begins so.
    ways = [way for way in table("sender_relay").values() if way.startswith("smtp-")]
    assert ways
    assert [way for way in ways if way.partition(":")[2][0] != "["] == []


def test_a_pinned_relay_is_known_by_its_fingerprints_only() -> None:
    record = {
        "accounts": [
            ALICE | {"relay": "2001:db8::1", "tls": {"fingerprint": [FINGERPRINT, OTHER_FINGERPRINT]}},
            BOB,
        ]
    }
    assert table("tls_policy", record) == {
        "[2001:db8::1]:587": f"fingerprint match={FINGERPRINT}|{OTHER_FINGERPRINT}",
        "[smtp.example.org]:465": "secure servername=smtp.example.org",
    }
    assert main_cf(record)["smtp_tls_fingerprint_digest"] == "sha256"


def test_only_tables_hold_secrets_and_only_root_reads_them() -> None:
    files = plan({"lists": LISTS})
    for name, file in files.items():
        # These name accounts, as the tables do.
        private = file.rows is not None or name.endswith(
            ("/forwarded_sender", "/local_relay", "/smtp_generic", "/smtp_header_checks", "/manifest")
        )
        assert (file.mode == 0o600) is private, name
        assert private or not re.search("alice@|bob@", file.content), name
        assert (ALICE["password"] in file.content) is name.endswith("/saslpass"), name
    assert files["main.cf"].mode == files["master.cf"].mode == 0o644
    assert {name for name, file in files.items() if file.rows is not None} == {
        f"tables-a/{name}" for name in ("sender_relay", "saslpass", "sender_access", "tls_policy")
    }


# -- who may submit mail ---------------------------------------------------------------------------------------


def test_only_this_qube_hands_mail_in_and_only_for_its_accounts() -> None:
    record = {"discard_senders": ["spam.example", "junk@example.net"]}
    parameters = main_cf(record)
    assert parameters["inet_interfaces"] == "loopback-only"
    assert parameters["mynetworks"] == "127.0.0.1/32, [::1]/128"
    assert parameters["smtpd_client_restrictions"].split(", ") == [
        "check_policy_service unix:private/submit-policy",
        "reject_unauth_pipelining",
    ]
    assert parameters["smtpd_delay_reject"] == "no"
    policy = services()["submit-policy unix"]
    assert policy[-2:] == ["root", "user"]
    for name in ("authorized_submit_users", "authorized_mailq_users", "authorized_flush_users"):
        assert parameters[name] == "root, user"
    assert re.fullmatch(
        r"check_sender_access regexp:\S+/local_senders, check_sender_access \S+/sender_access, permit_auth_destination,"
        r" check_sender_access inline:\{ \{<> = 550 [^}]+\} \}, check_sender_access static:\{550 [^}]+\}, reject",
        parameters["smtpd_relay_restrictions"],
    )
    assert table("sender_access", record) == {
        "alice@example.com": "OK",
        "bob@example.org": "OK",
        "spam.example": "DISCARD",
        "junk@example.net": "DISCARD",
    }


# -- privacy --------------------------------------------------------------------------------------------------


def test_nothing_that_is_sent_names_the_qube_or_its_user() -> None:
    parameters = main_cf()
    assert parameters["myhostname"] == "localhost.localdomain"
    assert parameters["smtp_helo_name"] == "[127.0.0.1]"
    assert parameters["smtpd_banner"] == "$myhostname ESMTP"
    assert parameters["smtp_generic_maps"] == "regexp:$smarthost_tables/smtp_generic"
    assert parameters["forward_path"] == ""
    named = {name for name, value in parameters.items() if "my-mail" in value.lower()}
    assert named == set()
    assert parameters["non_smtpd_milters"] == parameters["smtpd_milters"] == "unix:private/submit-milter"
    # What it says nothing to waits.
    assert parameters["milter_default_action"] == "tempfail"
    assert "submit-milter unix" in services()


# -- local mail -----------------------------------------------------------------------------------------------


def test_local_mail_goes_to_the_maildir() -> None:
    parameters = main_cf()
    assert parameters["home_mailbox"] == ".maildir/"
    assert parameters["mailbox_command"] == ""
    assert not [name for name in plan() if smarthost_places.is_sorting(name)]
    options = services()["reports unix"]
    for name in ("reports_uid", "reports_gid", "reports_home"):
        assert any(f"${name}" in option for option in options)
    assert (parameters["reports_uid"], parameters["reports_gid"], parameters["reports_home"]) == (
        "1000",
        "1001",
        "/home/user",
    )


def test_lists_are_sorted_by_procmail() -> None:
    files = plan({"lists": LISTS}, tables="tables-b")
    command = dict(parameters(files["main.cf"].content))["mailbox_command"]
    deliver = "/usr/local/etc/smarthost/sorting-b/deliver"
    assert command == f'/bin/sh {deliver} /usr/bin/procmail "$EXTENSION" || exit 75'
    # What cannot be sorted stays in the maildir: by itself procmail has a spool that is lost at shutdown.
    assert 'DEFAULT="$maildir/" ORGMAIL="$maildir/" ' in files["sorting-b/deliver"].content
    lines = files["sorting-b/procmailrc"].content.split("\n")
    assert lines[1:5] == [
        "SHELL=/bin/sh",
        "MAILDIR=$HOME/.maildir",
        "INCLUDERC=$HOME/.procmailrc",
        "MAILDIR=$HOME/.maildir",
    ]
    # A folder that ends in a slash is a maildir.
    assert [line for line in lines if line.endswith("/") and "=" not in line] == ["list/users/", "b/"]


def sorted_into(header: str) -> str | None:
    """The folder of the first recipe that matches, as procmail: extended expressions, not case sensitive."""
    lines = plan({"lists": LISTS})["sorting-a/procmailrc"].content.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("* ") and re.search(line[2:], header, re.IGNORECASE | re.MULTILINE):
            return lines[number + 1]
    return None


@pytest.mark.parametrize(
    ("header", "folder"),
    [
        ("List-Id: <users.example.com>", "list/users/"),
        ("list-id: Users of it <Users.Example.com>", "list/users/"),
        ("List-Id: users.example.com", "list/users/"),
        ("List-Id: <qubes-users.example.com>", None),
        ("List-Id: <x.users.example.com>", None),
        ("List-Id: <x+users.example.com>", None),
        ("List-Id: <users.example.com.au>", None),
        ("List-Id: <usersxexample.com>", None),
        ("X-List-Id: <users.example.com>", None),
        ("List-Id: <a+b.example>", "b/"),
        ("List-Id: <aab.example>", None),
    ],
)
def test_a_list_is_known_by_its_whole_identifier(header: str, folder: str | None) -> None:
    assert sorted_into(header) == folder


def test_folders_that_procmail_needs() -> None:
    record = {"lists": [*LISTS, {"list_id": "c", "folder": "x/y/z"}, {"list_id": "d", "folder": "list/d"}]}
    regular = normalise({"accounts": [ALICE]} | record)
    assert smarthost_sorting.maildirs(regular) == [".maildir", ".maildir/list", ".maildir/x", ".maildir/x/y"]
    assert smarthost_sorting.maildirs(normalise({"accounts": [ALICE]})) == [".maildir"]


# -- the queue ------------------------------------------------------------------------------------------------


def test_a_qube_that_was_off_for_weeks_does_not_bounce_its_queue() -> None:
    parameters = main_cf()
    assert (parameters["maximal_queue_lifetime"], parameters["bounce_queue_lifetime"]) == ("30d", "30d")
    assert (parameters["queue_run_delay"], parameters["minimal_backoff_time"]) == ("60s", "60s")
    assert parameters["enable_long_queue_ids"] == "yes"


# -- settings and tables --------------------------------------------------------------------------------------


def test_settings_take_the_place_of_what_the_plan_says() -> None:
    settings = {"maximal_queue_lifetime": "10d", "message_size_limit": 50000000}
    found = parameters(plan({"settings": settings})["main.cf"].content)
    assert len(found) == len(dict(found))
    assert dict(found) == main_cf() | {"maximal_queue_lifetime": "10d", "message_size_limit": "50000000"}


@pytest.mark.parametrize(
    ("table_type", "written"),
    [("auto", "${default_database_type}"), ("hash", "hash"), ("texthash", "texthash")],
)
def test_the_type_of_tables(table_type: str, written: str) -> None:
    record = {"table_type": table_type}
    compiled = {name.partition("/")[2] for name, file in plan(record).items() if file.rows is not None}
    found = main_cf(record)
    for kind, name in re.findall(r"(\S+):\$\{config_directory\}/tables-a/(\w+)", " ".join(found.values())):
        assert kind == (written if name in compiled else "regexp"), name
    # The template compiles it for all its qubes.
    assert found["alias_maps"] == "${default_database_type}:/etc/aliases"
    # Postfix's own, which is the same: 3.7 to 3.10 cannot expand a type in it.
    assert "alias_database" not in found


def test_every_table_that_is_named_is_planned() -> None:
    for tables in smarthost_places.TABLES:
        files = plan({"lists": LISTS}, tables=tables)
        content = files["main.cf"].content
        assert f"\nsmarthost_tables = ${{config_directory}}/{tables}\n" in content
        named = {
            f"{tables}/{name}"
            for name in re.findall(rf"(?:\$smarthost_tables|/etc/postfix/{tables})/(\S+?)[,\n]", content)
        }
        (deliver,) = re.findall(r"/usr/local/etc/smarthost/(\S+)", content)
        assert named | {f"{tables}/manifest", deliver, deliver.replace("/deliver", "/procmailrc")} == {
            name for name in files if "/" in name
        }


def test_a_table_can_be_empty_but_is_there() -> None:
    record = {"accounts": [{"address": "a@example.com", "relay": "mail.example.com", "auth": "none"}]}
    assert table("saslpass", record) == {}


# -- nothing is injected --------------------------------------------------------------------------------------


def test_disposables_are_started_only_where_asked_for() -> None:
    assert "allow disposables" not in plan()["tables-a/manifest"].content.split("\n")
    assert "allow disposables" in plan({"disposables": True})["tables-a/manifest"].content.split("\n")


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
