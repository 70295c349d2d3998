# serve and test set everything up on a fresh machine with Python 3.11, python3-venv and make.
PYTHON ?= python3
# Packages are built with the system's Python: one of a home folder leaves its path in them.
RELEASE_PYTHON ?= /usr/bin/python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet install --constraint constraints.txt

.PHONY: help serve test check docs bench bench-short bench-courier bench-accounts bench-cluster bench-costs bench-fetch bench-large-message bench-startup bench-testing install dist deb clean client-faults client-scores cluster faults cluster-faults fetch-faults fuzz soak

serve: .venv/web  ## a demo account with five messages at 127.0.0.1:1110, and a page that shows each session
	$(BIN)/pop3 dev --demo --keep demo

test: .venv/test  ## run all tests; TESTS=tests/client for some
	$(BIN)/pytest $(TESTS)

faults: .venv/test  ## every fault and power cut at every call, and many random lives of a maildrop
	RESTANTE_ALL_FAULTS=1 $(BIN)/pytest tests/faults -o faulthandler_timeout=0

client-faults: .venv/test  ## the library and pop3 check at every server that misbehaves
	RESTANTE_ALL_FAULTS=1 $(BIN)/pytest tests/misbehave -o faulthandler_timeout=0

cluster-faults: .venv/test  ## every fault at every request of a cluster's node, and kills of its commands
	RESTANTE_CLUSTER_FAULTS=1 $(BIN)/pytest tests/faults/cluster tests/storage/cluster -o faulthandler_timeout=0

fetch-faults: .venv/test  ## pop3 fetch, killed at every call; PLACE=mbox for one destination, SERVER=imap to kill that, PROGRAM=getmail for another program
	cd tests && ../$(BIN)/python -m faults.fetch.$(if $(PROGRAM),other_programs $(PROGRAM),$(if $(SERVER),server_kills $(SERVER),campaign $(PLACE)))

check: .venv/check  ## lint, types, layers, English
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/words.py

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 28

docs: .venv/docs  ## build the documentation into docs/_build
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/web_api.py
	$(BIN)/sphinx-build --fail-on-warning --keep-going docs docs/_build

fuzz: .venv/fuzz  ## the same inputs each time; MINUTES=10 for new ones, and KEEP=1 to keep some
	$(BIN)/python tests/fuzz/run.py $(if $(MINUTES),--minutes $(MINUTES) --seed 0) $(if $(KEEP),--keep)

soak: .venv/test  ## thousands of clients of all kinds for minutes: CLIENTS=2800 MINUTES=5
	$(BIN)/python tests/soak/run.py $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(MINUTES),--minutes $(MINUTES))

cluster: .venv/test  ## a cluster on this machine loses a node under load, and no mail, in a minute
	$(BIN)/python tests/cluster_demo/demo.py

bench: .venv/install build/twisted  ## Restante beside other servers, in less than 10 minutes
	$(BIN)/python benchmarks/bench.py

bench-short: .venv/install build/twisted  ## the same in a minute, to see that it works
	SHORT=1 $(BIN)/python benchmarks/bench.py

bench-courier:  ## unpack Debian's Courier for it, which cannot be installed beside Dovecot
	mkdir -p build/courier
	cd build/courier && apt-get download courier-pop courier-base courier-authlib \
		courier-authdaemon courier-authlib-userdb libcourier-unicode4 libltdl7 libgamin0
	cd build/courier && for package in *.deb; do dpkg -x $$package .; done

build/promtool:  ## unpack promtool, the checker of Prometheus, from Debian's package
	mkdir -p $@
	cd $@ && apt-get download prometheus && dpkg --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool

build/twisted: benchmarks/twisted.txt
	$(PYTHON) -m venv $@
	$@/bin/pip --disable-pip-version-check --quiet install --requirement $<

bench-costs: .venv/install  ## where the time goes in one process
	$(BIN)/python benchmarks/costs.py

bench-accounts: .venv/test  ## polls with accounts in a file and in PostgreSQL, in a minute
	$(BIN)/python benchmarks/accounts.py

bench-cluster: .venv/test  ## a cluster beside Maildirs, in two minutes; MAILBOXES=1000000 for its index
	$(BIN)/python benchmarks/cluster.py $(if $(MAILBOXES),--mailboxes $(MAILBOXES))

bench-fetch: .venv/test  ## pop3 fetch beside mpop and getmail6, in a few minutes
	$(BIN)/python benchmarks/fetching.py

bench-large-message: .venv/test  ## the memory of pop3 fetch for a message of 2 GB, in a few minutes
	$(BIN)/python benchmarks/large_message.py

bench-testing: .venv/test  ## what a mail server for each test costs, in seconds
	PYTHONPATH=tests $(BIN)/python benchmarks/testing.py

client-scores: .venv/test build/npm  ## mail programs at every server that misbehaves, in half an hour
	$(BIN)/python benchmarks/client_scores.py

build/npm:  ## the clients of npm for it, where npm is installed
	command -v npm >/dev/null || exit 0; \
	npm install --prefix build/npm --no-package-lock --no-audit --no-fund node-pop3@0.11.0 yapople@0.4.10

build/pyodide:  ## a newer Python for the protocol's tests, where npm is installed
	command -v npm >/dev/null || exit 0; \
	npm install --prefix build/pyodide --no-package-lock --no-audit --no-fund pyodide@314.0.7

bench-startup: .venv/test  ## how long the commands take to start
	$(BIN)/python benchmarks/startup.py

install: .venv/install  ## make .venv with the command .venv/bin/pop3

.venv/install: pyproject.toml constraints.txt setup.py src/restante/protocol/speedups.c
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/%: .venv/install
	$(PIP) --editable .[$*]
	touch $@

dist: .venv/install build/release  ## a source distribution, wheels, hashes and an SBOM in dist
	release/dist

deb: dist  ## a Debian package in dist, from the same wheel and those of constraints.txt
	release/deb

build/release: release/tools.txt
	$(RELEASE_PYTHON) -m venv $@
	$@/bin/pip --disable-pip-version-check --quiet install --requirement $<
	touch $@

clean:
	rm -rf .venv build demo dist docs/_build
