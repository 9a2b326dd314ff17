# SPDX-License-Identifier: Apache-2.0
# What a template needs so that its app qubes can run Postfix. It runs none itself and holds no secret.
{%- from "postfix_smarthost/map.jinja" import instead, mail, only_packages, plain, record, type with context %}
{%- set refusal = "This template has mail accounts in its pillar, and passwords do not belong in templates. Take its entry"
    ~ " out of the pillar (in dom0 qubes.yaml), and give the accounts to an app qube of the template." %}
{%- if record is mapping and record.get("errors") %}
{%- set refusal = record.errors | join(" ") %}
{%- endif %}
---
{%- if instead %}
include:
  - {{ instead }}
{%- elif type == "template" and "postfix_smarthost" in pillar and not only_packages %}
# Of whatever shape: what is left behind in a template, were this run to be killed, is in all of its qubes.
postfix_smarthost-template-has-accounts:
  test.fail_without_changes:
    - comment: {{ refusal | json }}
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

# Other mail transfer agents are not removed: on Debian their packages conflict, on Fedora they are deselected.
postfix_smarthost-template-mta:
  mta.selected:
    - name: postfix
    - require:
        - pkg: postfix_smarthost-template-packages

postfix_smarthost-template-aliases:
  postalias.present:
    - name: root
    - target: {{ mail.root | json }}
    - path: {{ mail.aliases }}
    - require:
        - pkg: postfix_smarthost-template-packages
{%- if not plain %}

# Postfix is started by the boot script of the qubes that have accounts, and in no other.
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
    - contents: |
        # SPDX-License-Identifier: Apache-2.0
        # Put here by the Salt formula postfix_smarthost: no upgrade of a package turns Postfix on in the qubes of this template.
        disable postfix.service
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
    - contents: |
        # SPDX-License-Identifier: Apache-2.0
        # Put here by the Salt formula postfix_smarthost, where Debian's package leaves no main.cf, without which none of
        # Postfix's programs runs. It hands nothing in and sends nothing: in a qube that has mail accounts, another one is
        # mounted over it.
        compatibility_level = 9999
        authorized_submit_users =
        default_transport = error:5.7.1 This qube has no mail account
        relay_transport = error:5.7.1 This qube has no mail account
        inet_interfaces = loopback-only
        master_service_disable = inet
    - replace: false
    - user: root
    - group: root
    - mode: "0644"
    - show_changes: false
    - require:
        - postfix_smarthost: postfix_smarthost-template-service

# It makes the queue, of which Debian 12's package leaves out a part. mailq fails without one of the first five, in
# which it looks; trace is the last one that is made.
postfix_smarthost-template-queue:
  cmd.run:
    - name: postfix check
    - creates:
{%- for directory in ("active", "deferred", "hold", "incoming", "maildrop", "trace") %}
        - /var/spool/postfix/{{ directory }}
{%- endfor %}
    - require:
        - file: postfix_smarthost-template-main-cf
{%- endif %}
{%- endif %}
{%- endif %}
