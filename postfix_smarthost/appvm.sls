# SPDX-License-Identifier: Apache-2.0
# The accounts of one qube, kept below /rw, and Postfix running on them now and at each boot.
{%- from "postfix_smarthost/map.jinja" import is_dom0, mail, text, type with context %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- elif type == "template" %}
# A password in a template would be in all of its qubes.
postfix_smarthost-appvm-is-template:
  test.fail_without_changes:
    - name: This is a template, and passwords do not belong in templates. Apply postfix_smarthost to it, and
        postfix_smarthost.appvm to its app qubes only.
{%- else %}
{%- if type == "standalone" %}
include:
  - postfix_smarthost.template
{%- endif %}

postfix_smarthost-appvm-configuration:
  postfix_smarthost.configured:
    - name: {{ mail.config_dir }}
    - ca_file: {{ mail.ca_file }}
    - procmail: {{ mail.procmail }}
    - submit_policy: {{ text("submit-policy") }}
    - submit_milter: {{ text("submit-milter") }}
{%- if type == "standalone" %}
    - prepares: true
    - require:
        - sls: postfix_smarthost.template
{%- endif %}

postfix_smarthost-appvm-boot-script:
  file.managed:
    - name: {{ mail.script }}
    - contents: {{ text("50-postfix-smarthost.rc", "50-postfix-smarthost-mail.rc", "50-postfix-smarthost-uplink.rc") }}
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
