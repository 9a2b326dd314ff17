# SPDX-License-Identifier: Apache-2.0
"""Take each protection of SECURITY.md out of the formula, one at a time, and see its tests fail: ``make unprotected``.

A test that passes without what it is there for shows nothing. Each protection is taken out of a copy of the checkout.
There is a file for each section of SECURITY.md.
"""

from tests.protections import (
    hostile_relays,
    injection,
    local_mail,
    passwords,
    privacy,
    queue,
    secrets_on_disk,
    senders,
    settings,
    tokens,
)

PROTECTIONS = (
    *hostile_relays.PROTECTIONS,
    *senders.PROTECTIONS,
    *privacy.PROTECTIONS,
    *secrets_on_disk.PROTECTIONS,
    *local_mail.PROTECTIONS,
    *queue.PROTECTIONS,
    *passwords.PROTECTIONS,
    *injection.PROTECTIONS,
    *settings.PROTECTIONS,
    *tokens.PROTECTIONS,
)
