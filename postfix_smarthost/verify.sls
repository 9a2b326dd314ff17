# SPDX-License-Identifier: Apache-2.0
# Ask the relay of each account of this qube whether it would take mail of it; fails if one would not.
{%- from "postfix_smarthost/map.jinja" import is_dom0, type with context %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- elif type == "template" %}
postfix_smarthost-verify-is-template:
  test.fail_without_changes:
    - name: This is a template, which sends no mail. Apply postfix_smarthost.verify to its app qubes.
{%- else %}
postfix_smarthost-verify:
  postfix_smarthost.verified:
    - name: ALL
{%- endif %}
