# SPDX-License-Identifier: Apache-2.0
# On Debian 12 or 13, as root: each target installs by itself what it needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
# Three at a time, a file at a time: the tests of a file share what takes long to make. They use a core each, or wait.
PYTEST := $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# Debian packages: for the linters and the virtual environment; for the tests of the modules, which run Postfix's own
# programs; for the lab.
APT_LINT := python3-venv shellcheck
APT_FUNCTIONAL := postfix postfix-cdb postfix-lmdb strace
APT_LAB := ca-certificates dbus iproute2 mmdebstrap openssl strace systemd-container

# Neither caches nor what is built is linted.
FILES := $(shell find . \( -name .git -o -name $(VENV) -o -name .cache -o -name dist -o -name '.*_cache' -o -name .hypothesis \
	-o -name __pycache__ \) -prune -o -type f -print)
SHELL_FILES := $(shell awk 'FNR == 1 && /^\#!.*[\/ ](ba|da)?sh( |$$)/ { print FILENAME } FNR > 1 { nextfile }' $(FILES))
# salt-lint reads Jinja; a #!py SLS is Python, for ruff. Rule 205 would have every file end in .sls.
SLS_FILES := $(shell grep -L '^\#!py' $(filter %.sls %.jinja %.top,$(FILES)) /dev/null | grep -v '^/dev/null')
# An SLS or a top file with Jinja or Python in it is YAML only once rendered; the functional tests render them.
PLAIN_SLS := $(shell grep -LE '\{[{%\#]|^\#!py' $(filter %.sls %.top,$(FILES)) /dev/null | grep -v '^/dev/null')
YAML_FILES := $(filter %.yaml %.yml %.yaml.example %/.yamllint %/FORMULA %/pillar.example,$(FILES)) $(PLAIN_SLS)

.PHONY: help docs demo test lint unit functional lab fuzz soak unprotected bench clean install dist rpm apt-lint apt-functional apt-lab apt-rpm root

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

docs: $(VENV)/installed ## write what follows from the schema of the pillar: README.md's table, pillar.schema.json
	@$(BIN)/python -m tools.docs

demo: apt-lab $(VENV)/installed ## build the lab, send mail, show which account logged in where
	@$(BIN)/python -m tests.lab.demo

test: lint apt-functional apt-lab ## everything that has to hold: lint, unit, functional, lab
	@$(PYTEST) tests/unit tests/functional tests/lab

lint: apt-lint $(VENV)/installed ## ruff, salt-lint, yamllint, shellcheck
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@if [ -n "$(SLS_FILES)" ]; then $(BIN)/salt-lint -x 205 $(SLS_FILES); fi
	@$(BIN)/yamllint --strict $(YAML_FILES)
	@shellcheck $(SHELL_FILES)
	@PYTHONPATH=_utils $(BIN)/python -c 'import smarthost_programs; print(smarthost_programs.boot_script(), end="")' | shellcheck -

unit: apt-lint $(VENV)/installed ## the pure parts: planner, parsers, validation
	@$(PYTEST) tests/unit

functional: apt-functional $(VENV)/installed ## modules and states through Salt's loader
	@$(PYTEST) tests/functional

lab: apt-lab $(VENV)/installed ## real template, qubes and relays
	@$(PYTEST) tests/lab

soak: apt-lab $(VENV)/installed ## the long runs, which `make test` leaves out
	@$(BIN)/python -m pytest -n 3 --dist load -rP --show-capture=stdout -m soak tests/lab

unprotected: apt-functional apt-lab $(VENV)/installed ## take out each protection, and see its test fail
	@$(BIN)/python -m tests.protections

bench: apt-lab $(VENV)/installed ## measure applies and boots; the machine should have nothing else to do
	@$(BIN)/python -m tests.lab.bench

fuzz: apt-functional $(VENV)/installed ## 100,000 hostile cases for each test that tries some
	@FUZZ_CASES=100000 $(PYTEST) \
		tests/functional/test_what_postfix_reads.py::test_any_good_pillar_is_applied \
		tests/functional/test_what_postfix_reads.py::test_postfix_reads_the_tables_as_they_were_meant \
		tests/functional/test_pillar.py::test_any_text_arrives_as_it_was_written \
		tests/unit/test_plan_injection.py tests/unit/test_smarthost_pillar.py

# For dom0: what Qubes' specs call, a source archive that is the same each time, and a package of it in dist/.
NAME := qubes-mgmt-salt-postfix-smarthost
VERSION := $(file < version)
FORMULA_DIR = $(DESTDIR)/srv/formulas/base/postfix_smarthost-formula
PILLAR_DIR = $(DESTDIR)/srv/pillar/base/postfix_smarthost
DIST := CHANGELOG.md FORMULA LICENSE Makefile README.md SECURITY.md _modules _states _utils docs dom0 etc pillar \
	pillar.example pillar.schema.json postfix_smarthost rpm_spec version .qubesbuilder
APT_RPM := rpm

install: ## into DESTDIR, as in dom0
	@install -d -m 0755 $(DESTDIR)/etc/salt/minion.d $(DESTDIR)/usr/sbin
	@install -d -m 0750 $(FORMULA_DIR) $(PILLAR_DIR)
	@tar -c --exclude=__pycache__ --mode='u=rwX,go=rX' --owner=0 --group=0 \
		LICENSE README.md _modules _states _utils dom0 postfix_smarthost | tar -x -p -C $(FORMULA_DIR)
	@install -m 0644 pillar/postfix_smarthost/init.sls pillar/postfix_smarthost/init.top \
		pillar/postfix_smarthost/qubes.yaml.example $(PILLAR_DIR)
	@sed 's/^\([^#]\)/# \1/' pillar/postfix_smarthost/qubes.yaml.example >$(PILLAR_DIR)/qubes.yaml
	@chmod 0600 $(PILLAR_DIR)/qubes.yaml
	@install -m 0644 etc/salt/minion.d/formula-postfix_smarthost.conf $(DESTDIR)/etc/salt/minion.d
	@ln -sf /srv/formulas/base/postfix_smarthost-formula/dom0/postfix_smarthost_check.py \
		$(DESTDIR)/usr/sbin/postfix-smarthost-check

dist: ## the source archive and its checksum, in dist/
	@mkdir -p dist
	@sed 's/@VERSION@/$(VERSION)/' rpm_spec/$(NAME).spec.in >dist/$(NAME).spec
	@tar -c --sort=name --mtime='2026-01-01 00:00Z' --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' \
		--exclude=__pycache__ --transform='s,^,$(NAME)-$(VERSION)/,' --format=gnu $(DIST) |\
		gzip -n -9 >dist/$(NAME)-$(VERSION).tar.gz
	@cd dist && sha256sum $(NAME)-$(VERSION).tar.gz | tee $(NAME)-$(VERSION).tar.gz.sha256

rpm: apt-rpm dist ## a package for dom0, in dist/
	@rpmbuild -bb --quiet --define '_topdir $(CURDIR)/dist/build' --define '_sourcedir $(CURDIR)/dist' \
		--define '_rpmdir $(CURDIR)/dist' --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
		--nodeps dist/$(NAME).spec
	@rm -rf dist/build
	@ls dist/*.rpm

# The lab's root filesystems stay: they are in ~/.cache/postfix_smarthost, for every checkout.
clean: ## remove the virtual environment and the caches of this checkout
	rm -rf --one-file-system $(VENV) dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/installed: requirements.txt | apt-lint
	@echo "Python packages: installing into $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip --quiet --quiet --disable-pip-version-check install --requirement requirements.txt
	@touch $@

# apt-get is asked only when dpkg knows of something missing, so that a machine that is ready needs no network.
# Postfix's preset leaves it without main.cf, hence without a service.
define apt
@missing=$$(for p in $(1); do dpkg-query --show --showformat '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
if [ -n "$$missing" ]; then \
	if [ "$$(id -u)" != 0 ]; then echo "Missing Debian packages:" $$missing "- run this as root once, or install them" >&2; exit 1; fi; \
	echo "Debian packages: installing" $$missing; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq update; \
	echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections; \
	said=$$(apt-get -qq install --yes --no-install-recommends $$missing 2>&1) || { echo "$$said" >&2; exit 1; }; \
fi
endef

apt-lint:
	$(call apt,$(APT_LINT))

apt-rpm:
	$(call apt,$(APT_RPM))

apt-functional: apt-lint apt-rpm
	$(call apt,$(APT_FUNCTIONAL))

apt-lab: apt-lint root
	$(call apt,$(APT_LAB))

root:
	@if [ "$$(id -u)" != 0 ]; then echo "The lab boots containers: run this as root" >&2; exit 1; fi
