# SPDX-License-Identifier: Apache-2.0
"""smarthost_plan: who sees a password, over which TLS and on the disk."""

import re

from tests.records import FACTS
from tests.samples import ALICE, BOB, FINGERPRINT, OTHER_FINGERPRINT
from tests.unit.plans import LISTS, main_cf, plan, services, table


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
            clear = name.startswith(("smtp-clear", "smtp-xoauth2"))
            assert ("smtp_tls_wrappermode=yes" in options) is name.startswith("smtp-implicit"), name
            assert bool([word for word in options if "security_level" in word]) is clear, name
            bound = ["smtp_bind_address=127.0.0.1", "smtp_bind_address6=::1", "smtp_bind_address_enforce=yes"]
            assert [word for word in options if "smtp_bind" in word] == bound * clear, name
            assert ("smtp_sasl_auth_enable=no" in options) is ("auth" in name), name


def test_a_password_is_looked_up_by_sender_and_never_missing() -> None:
    """A sender without a row would be submitted without AUTH: the backstop defers it instead."""
    parameters = main_cf()
    assert parameters["smtp_sender_dependent_authentication"] == "yes"
    assert re.fullmatch(
        r"\S+/saslpass, pipemap:\{\S+/sender_relay, fail:no_password\},"
        r" pipemap:\{regexp:\{\{/\^\\\[/ none\}\}, fail:no_password\}",
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
