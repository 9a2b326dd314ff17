# SPDX-License-Identifier: Apache-2.0
{%- from "postfix_smarthost/map.jinja" import mail, type with context %}
---
{%- if type == "standalone" %}
include:
  - postfix_smarthost.template
{%- endif %}

postfix_smarthost-appvm-configuration:
  postfix_smarthost.configured:
    - name: {{ mail.config_dir }}
    - ca_file: {{ mail.ca_file }}
    - procmail: {{ mail.procmail }}
{%- if type == "standalone" %}
    - prepares: true
    - require:
        - sls: postfix_smarthost.template
{%- endif %}
