# SPDX-License-Identifier: Apache-2.0
"""The accounts that unit tests, functional tests and malformed pillars share. The lab has tests/lab/accounts.py.

All passwords are ``SECRET``, or begin with it: no output may hold it.
"""

SECRET = "s3cr3t Of-Alice"
ALICE = {"address": "alice@example.com", "relay": "mail.example.com", "password": SECRET}
BOB = {"address": "bob@example.org", "relay": "smtp.example.org", "port": 465, "password": SECRET}
FINGERPRINT = ":".join(["AB"] * 32)
OTHER_FINGERPRINT = ":".join(["CD"] * 32)
