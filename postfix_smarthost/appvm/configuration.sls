# SPDX-License-Identifier: Apache-2.0
{%- from "postfix_smarthost/map.jinja" import is_dom0, mail, type with context %}
{%- import_text "postfix_smarthost/files/submit-policy" as submit_policy %}
{%- import_text "postfix_smarthost/files/submit-milter" as submit_milter %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- elif type == "template" %}
# A password in a template would be in all of its qubes.
postfix_smarthost-appvm-is-template:
  test.fail_without_changes:
    - name: This is a template, and passwords do not belong into templates. Apply postfix_smarthost to it, and
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
    - submit_policy: {{ submit_policy | json }}
    - submit_milter: {{ submit_milter | json }}
{%- if type == "standalone" %}
    - prepares: true
    - require:
        - sls: postfix_smarthost.template
{%- endif %}
{%- endif %}
