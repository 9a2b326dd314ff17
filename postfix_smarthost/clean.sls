# SPDX-License-Identifier: Apache-2.0
# Take back what the formula brought, by the type of the qube: the accounts of an app qube, Postfix of a template.
{%- from "postfix_smarthost/map.jinja" import instead, mail, plain, type with context %}
---
{%- if instead %}
include:
  - {{ instead }}
{%- else %}
{%- if type != "template" %}
postfix_smarthost-clean-appvm:
  postfix_smarthost.removed:
    - name: {{ mail.config_dir }}
{%- endif %}
{%- if type in ("template", "standalone") and not plain %}

postfix_smarthost-clean-template-aliases:
  file.replace:
    - name: {{ mail.aliases }}
    - pattern: '^root:[ \t]*user[ \t]*(?:\n|\Z)'
    - repl: ""
    - backup: false
    - ignore_if_missing: true

# Only this one: what else was installed, the user may have had before.
postfix_smarthost-clean-template-packages:
  pkg.removed:
    - name: postfix
{%- if type == "standalone" %}
    - require:
        - postfix_smarthost: postfix_smarthost-clean-appvm
{%- endif %}

postfix_smarthost-clean-template-preset:
  file.absent:
    - name: {{ mail.preset }}
    - require:
        - pkg: postfix_smarthost-clean-template-packages
{%- if grains["os_family"] == "Debian" %}

postfix_smarthost-clean-template-main-cf:
  file.absent:
    - name: {{ mail.main_cf }}
    - onlyif: grep -qs '^# Put here by the Salt formula postfix_smarthost' {{ mail.main_cf }}
    - require:
        - pkg: postfix_smarthost-clean-template-packages

# With what Debian's package gives it.
postfix_smarthost-clean-template-procmail:
  statoverride.absent:
    - name: {{ mail.procmail }}
    - user: root
    - group: root
    - mode: "0755"
    - packaged: ["root", "mail", "6755"]
{%- endif %}
{%- endif %}
{%- endif %}
