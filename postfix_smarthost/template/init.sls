# SPDX-License-Identifier: Apache-2.0
# What a template needs so that its app qubes can run Postfix. It runs none itself and holds no secret.
{%- from "postfix_smarthost/map.jinja" import is_dom0, type with context %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- elif type == "template" and "postfix_smarthost" in pillar %}
# Of whatever shape: what is left behind in a template, were this run to be killed, is in all of its qubes.
postfix_smarthost-template-has-accounts:
  test.fail_without_changes:
    - name: This template has mail accounts in its pillar, and passwords do not belong into templates. Take its entry out
        of the pillar (in dom0 qubes.yaml), and give the accounts to an app qube of the template.
{%- else %}
include:
  - postfix_smarthost.template.packages
  - postfix_smarthost.template.mta
  - postfix_smarthost.template.aliases
  - postfix_smarthost.template.service
{%- endif %}
