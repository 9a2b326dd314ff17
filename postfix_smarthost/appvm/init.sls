# SPDX-License-Identifier: Apache-2.0
# The accounts of one qube, kept below /rw, and Postfix running on them now and at each boot.
{%- from "postfix_smarthost/map.jinja" import is_dom0 with context %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- else %}
include:
  - postfix_smarthost.appvm.configuration
  - postfix_smarthost.appvm.boot
{%- endif %}
