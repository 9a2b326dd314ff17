# SPDX-License-Identifier: Apache-2.0
# What a template needs so that its app qubes can run Postfix. It runs none itself and holds no secret.
{%- from "postfix_smarthost/map.jinja" import is_dom0 with context %}
---
{%- if is_dom0 %}
postfix_smarthost-template-nothing-in-dom0:
  test.nop
{%- else %}
include:
  - postfix_smarthost.template.packages
  - postfix_smarthost.template.mta
  - postfix_smarthost.template.aliases
  - postfix_smarthost.template.service
{%- endif %}
