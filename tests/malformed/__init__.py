# SPDX-License-Identifier: Apache-2.0
"""Malformed pillars and the sentences that each of them has to bring, for the unit tests and for the lab.

Each record is one that YAML can hold. All passwords are samples.SECRET, or begin with it: no output may hold it.
"""

from tests.malformed.accounts import ACCOUNTS
from tests.malformed.fetching import FETCHING
from tests.malformed.incoming import INCOMING
from tests.malformed.logins import LOGINS
from tests.malformed.oauth import OAUTH
from tests.malformed.record import RECORD
from tests.malformed.relays import RELAYS
from tests.malformed.settings import SETTINGS
from tests.malformed.shared import Case
from tests.malformed.together import TOGETHER

# In this order: the lab takes each third.
MALFORMED: list[Case] = [
    *RECORD,
    *ACCOUNTS,
    *RELAYS,
    *LOGINS,
    *INCOMING,
    *SETTINGS,
    *TOGETHER,
    *FETCHING,
    *OAUTH,
]
