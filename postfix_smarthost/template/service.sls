# SPDX-License-Identifier: Apache-2.0
# Postfix is started by the boot script of the qubes that have accounts, and in no other.
{%- from "postfix_smarthost/map.jinja" import is_dom0, mail, type with context %}
{%- import_text "postfix_smarthost/files/10-postfix-smarthost.preset" as preset %}
{%- import_text "postfix_smarthost/files/template-main.cf" as main_cf %}
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

# Some packages ask for the preset of a service that is disabled at each upgrade, and enable it by that.
postfix_smarthost-template-preset:
  file.managed:
    - name: {{ mail.preset }}
    - contents: {{ preset | json }}
    - user: root
    - group: root
    - mode: "0644"
    - makedirs: true
    - dir_mode: "0755"
    - show_changes: false
    - require:
        - postfix_smarthost: postfix_smarthost-template-service
{%- if grains["os_family"] == "Debian" %}

# Debian's package makes none, and without one newaliases, mailq, postconf and all others fail. One that is there stays.
postfix_smarthost-template-main-cf:
  file.managed:
    - name: {{ mail.main_cf }}
    - contents: {{ main_cf | json }}
    - replace: false
    - user: root
    - group: root
    - mode: "0644"
    - show_changes: false
    - require:
        - postfix_smarthost: postfix_smarthost-template-service

# It makes the queue, in which mailq looks.
postfix_smarthost-template-queue:
  cmd.run:
    - name: postfix check
    - creates: /var/spool/postfix/maildrop
    - require:
        - file: postfix_smarthost-template-main-cf
{%- endif %}
{%- endif %}
