# SPDX-License-Identifier: Apache-2.0
# Ask the relay of each account of this qube whether it would take mail of it; fails if one would not.
{%- from "postfix_smarthost/map.jinja" import instead, type with context %}
---
{%- if instead %}
include:
  - {{ instead }}
{%- elif type == "template" %}
postfix_smarthost-verify-is-template:
  test.fail_without_changes:
    - comment: This is a template, which sends no mail. Apply postfix_smarthost.verify to its app qubes.
{%- else %}
postfix_smarthost-verify:
  postfix_smarthost.verified:
    - name: ALL
{%- endif %}
