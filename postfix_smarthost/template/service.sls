# SPDX-License-Identifier: Apache-2.0
# Postfix is started by the boot script of the qubes that have accounts, and in no other.
{%- from "postfix_smarthost/map.jinja" import mail, type with context %}
---
include:
  - postfix_smarthost.template.packages

postfix_smarthost-template-service-disabled:
  service.disabled:
    - name: {{ mail.service }}
    - require:
        - pkg: postfix_smarthost-template-packages
{%- if type == "template" %}

postfix_smarthost-template-service-dead:
  service.dead:
    - name: {{ mail.service }}
    - require:
        - pkg: postfix_smarthost-template-packages
{%- endif %}
