# SPDX-License-Identifier: Apache-2.0
# Other mail transfer agents are not removed: on Debian their packages conflict, on Fedora they are deselected.
{%- from "postfix_smarthost/map.jinja" import is_dom0 with context %}
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
{%- endif %}
