# SPDX-License-Identifier: Apache-2.0
{%- from "postfix_smarthost/map.jinja" import is_dom0, mail with context %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- else %}
include:
  - postfix_smarthost.template.packages

postfix_smarthost-template-aliases:
  postalias.present:
    - name: root
    - target: user
    - path: {{ mail.aliases }}
    - require:
        - pkg: postfix_smarthost-template-packages
{%- endif %}
