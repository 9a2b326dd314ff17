# SPDX-License-Identifier: Apache-2.0
{%- from "postfix_smarthost/map.jinja" import mail with context %}
---
include:
  - postfix_smarthost.template.packages

postfix_smarthost-template-mta:
  mta.selected:
    - name: postfix
    - require:
        - pkg: postfix_smarthost-template-packages
{%- if mail.rivals %}

# After the new one is there, so that nothing that needs an MTA goes with the old one.
postfix_smarthost-template-rivals:
  pkg.removed:
    - pkgs: {{ mail.rivals | json }}
    - require:
        - mta: postfix_smarthost-template-mta
{%- endif %}
