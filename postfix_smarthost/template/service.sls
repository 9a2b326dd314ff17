# SPDX-License-Identifier: Apache-2.0
# Postfix is started by the boot script of the qubes that have accounts, and in no other.
{%- from "postfix_smarthost/map.jinja" import is_dom0, mail, type with context %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- else %}
include:
  - postfix_smarthost.template.packages

postfix_smarthost-template-service:
  postfix_smarthost.off:
    - name: {{ mail.service }}
    - stop: {{ type == "template" }}
    - require:
        - pkg: postfix_smarthost-template-packages
{%- endif %}
