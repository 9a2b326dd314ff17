# SPDX-License-Identifier: Apache-2.0
{%- from "postfix_smarthost/map.jinja" import is_dom0, mail with context %}
---
{%- if is_dom0 %}
include:
  - postfix_smarthost.dom0
{%- else %}
{%- if grains["os_family"] == "Debian" %}
# Debian's package then makes no main.cf, without which its unit does not start. Salt's debconf state would
# need the package debconf-utils.
postfix_smarthost-template-debconf:
  cmd.run:
    - name: "echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections"
    - unless: >-
        dpkg-query -W -f '${Status}' postfix 2>/dev/null | grep -q ' installed$' ||
        debconf-show postfix 2>/dev/null | grep -q 'main_mailer_type: No configuration$'
    - require_in:
        - pkg: postfix_smarthost-template-packages

# Debian's procmail is set-uid root: by `procmail -d user` any local user hands in local mail. Here local(8) runs it as
# the recipient. What dpkg knows outlives upgrades.
postfix_smarthost-template-procmail:
  statoverride.present:
    - name: {{ mail.procmail }}
    - user: root
    - group: root
    - mode: "0755"
    - require_in:
        - pkg: postfix_smarthost-template-packages
{%- endif %}

postfix_smarthost-template-packages:
  pkg.installed:
    - pkgs: {{ mail.packages | json }}
    - install_recommends: false
{%- endif %}
