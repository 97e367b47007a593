.PHONY: run
run: ## show the module at work on a bookshop in SQLite, every answer verified
	@./tools/run.sh

.PHONY: serve
serve: ## keep a server with the module up, to try it with redis-cli
	@./tools/serve.sh
