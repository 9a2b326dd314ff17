# SPDX-License-Identifier: Apache-2.0
# A qube of which dom0 has not said what it is: taken for a standalone machine, an app qube would get Postfix installed.
---
postfix_smarthost-qube-is-unknown:
  test.fail_without_changes:
    - comment: Nothing is done, as this is a qube and dom0 has not said of which type (there is no pillar qubes). Apply
        from dom0, with qubesctl, and to one qube at a time (--max-concurrency 1) if names share their first 21
        characters.
