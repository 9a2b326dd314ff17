# SPDX-License-Identifier: Apache-2.0
{%- from "postfix_smarthost/map.jinja" import is_dom0, mail with context %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- else %}
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
{%- endif %}
