# SPDX-License-Identifier: Apache-2.0
# The side that belongs to the type of the qube: a template gets the packages, an app qube its accounts,
# and a standalone qube, or a machine without Qubes, both.
{%- from "postfix_smarthost/map.jinja" import is_dom0, type with context %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- else %}
include:
{%- if type in ("template", "standalone") %}
  - postfix_smarthost.template
{%- endif %}
{%- if type != "template" %}
  - postfix_smarthost.appvm
{%- endif %}
{%- endif %}
