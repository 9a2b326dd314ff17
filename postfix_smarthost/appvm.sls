# SPDX-License-Identifier: Apache-2.0
# The accounts of one qube, kept below /rw, and Postfix running on them now and at each boot.
{%- from "postfix_smarthost/map.jinja" import instead, mail, plain, type with context %}
---
{%- if instead %}
include:
  - {{ instead }}
{%- elif type == "template" %}
# A password in a template would be in all of its qubes.
postfix_smarthost-appvm-is-template:
  test.fail_without_changes:
    - comment: This is a template, and passwords do not belong in templates. Apply postfix_smarthost to it, and
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
{%- if type == "standalone" %}
    - prepares: true
    - require:
        - sls: postfix_smarthost.template
{%- endif %}

postfix_smarthost-appvm-boot-script:
  postfix_smarthost.boot_script:
    - name: {{ mail.script }}
    - require:
        - postfix_smarthost: postfix_smarthost-appvm-configuration
{%- if not plain %}

postfix_smarthost-appvm-sole-start:
  postfix_smarthost.sole_start:
    - name: {{ mail.rc_local }}
    - require:
        - postfix_smarthost: postfix_smarthost-appvm-boot-script
{%- endif %}

# Comes last. It requires none of the states above, as it says once more what failed in them.
postfix_smarthost-appvm-active:
  postfix_smarthost.active:
    - name: {{ mail.config_dir }}
{%- if type == "standalone" %}
    - require:
        - sls: postfix_smarthost.template
{%- endif %}
{%- endif %}
