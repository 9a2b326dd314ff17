# SPDX-License-Identifier: Apache-2.0
# Without --skip-dom0, qubesctl applies an SLS to dom0 first. It is not to change there, and not to fail.
---
postfix_smarthost-nothing-in-dom0:
  test.succeed_without_changes:
    - comment: Nothing is done in dom0. Name the qubes with --targets.
