# SPDX-License-Identifier: Apache-2.0
{%- from "postfix_smarthost/map.jinja" import is_dom0, mail, type with context %}
{#- Not as a salt:// source: with a target on Python 3.13, Salt finds none (saltstack/salt#68421). -#}
{%- import_text "postfix_smarthost/files/50-postfix-smarthost.rc" as script %}
{%- import_text "postfix_smarthost/files/50-postfix-smarthost-mail.rc" as mail_script %}
{%- import_text "postfix_smarthost/files/50-postfix-smarthost-uplink.rc" as uplink %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- else %}
include:
  - postfix_smarthost.appvm.configuration
{%- if type != "template" %}

postfix_smarthost-appvm-boot-script:
  file.managed:
    - name: {{ mail.script }}
    - contents: {{ [script, mail_script, uplink] | join("\n") | json }}
    - user: root
    - group: root
    - mode: "0755"
    - makedirs: true
    - dir_mode: "0755"
    - show_changes: false
    - require:
        - postfix_smarthost: postfix_smarthost-appvm-configuration

postfix_smarthost-appvm-sole-start:
  postfix_smarthost.sole_start:
    - name: {{ mail.rc_local }}
    - require:
        - file: postfix_smarthost-appvm-boot-script

postfix_smarthost-appvm-active:
  postfix_smarthost.active:
    - name: {{ mail.config_dir }}
    - require:
        - file: postfix_smarthost-appvm-boot-script
{%- endif %}
{%- endif %}
