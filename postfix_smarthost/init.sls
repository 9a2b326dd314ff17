# SPDX-License-Identifier: Apache-2.0
# The side that belongs to the type of the qube: a template gets the packages, an app qube its accounts,
# and a standalone qube, or a machine without Qubes, both. A qube that is not among those of dom0's qubes.yaml gets none,
# so that --all does no harm.
{%- from "postfix_smarthost/map.jinja" import instead, type with context %}
---
{%- if instead %}
include:
  - {{ instead }}
{%- elif type == "template" and "postfix_smarthost_unused" in pillar %}
postfix_smarthost-template-is-unused:
  test.succeed_without_changes:
    - comment: {{ ("Nothing is done. " ~ pillar["postfix_smarthost_unused"]) | json }}
{%- elif type != "template" and "postfix_smarthost" not in pillar and "postfix_smarthost_unlisted" in pillar %}
postfix_smarthost-qube-is-unlisted:
  test.succeed_without_changes:
    - comment: {{ ("Nothing is done. " ~ pillar["postfix_smarthost_unlisted"]) | json }}
{%- else %}
include:
{%- if type in ("template", "standalone") %}
  - postfix_smarthost.template
{%- endif %}
{%- if type != "template" %}
  - postfix_smarthost.appvm
{%- endif %}
{%- endif %}
