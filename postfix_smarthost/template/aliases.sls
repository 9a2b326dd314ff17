# SPDX-License-Identifier: Apache-2.0
{%- from "postfix_smarthost/map.jinja" import mail with context %}
---
include:
  - postfix_smarthost.template.packages

postfix_smarthost-template-aliases:
  postalias.present:
    - name: root
    - target: user
    - path: {{ mail.aliases }}
    - require:
        - pkg: postfix_smarthost-template-packages
