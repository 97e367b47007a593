.PHONY: run
run: ## show the module at work on a bookshop in SQLite, every answer verified
	@./tools/run.sh

.PHONY: serve
serve: ## keep a server with the module up, to try it with redis-cli
	@./tools/serve.sh

# Measurements on a running server: CACHEOPS_SERVER names its binary, CACHEOPS_MODULE the module (benches/README.md).
BENCH = cargo run --release -q -p cacheops-benches --bin server --

.PHONY: bench-module bench-server bench-growth bench-fanout bench-memory bench-plot bench-all

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

bench-plot: ## docs/fanout.svg from the last bench-fanout
	mkdir -p docs
	$(BENCH) plot target/bench/fanout.json docs/fanout.svg

bench-all: bench-server bench-memory bench-growth bench-fanout bench-plot ## all of these
