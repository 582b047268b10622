# Everything that a person or CI does with this repository. `make` alone lists it.

SETUP := tests/support/setup.sh
SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help setup build demo test fuzz bench clean clean-cache

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the tests, the demo and the benchmarks need
	$(SETUP) all

build: ## build the program
	$(SETUP) build
	cargo build --locked

demo: ## show the main job on throw-away local servers
	$(SETUP) build samples
	$(SETUP) mysql || $(SETUP) mariadb
	cargo run --locked --quiet -- demo

test: ## run everything that CI runs
	tests/support/all.sh

fuzz: ## run every fuzz target for SECONDS each (600)
	tests/support/fuzz.sh $(SECONDS)

bench: ## micro benchmarks, then the load comparison with HAProxy and MySQL Router
	$(SETUP) build bench
	cargo bench --locked
	cargo build --locked --release
	python3 bench/load/compare.py --candado "$${CARGO_TARGET_DIR:-target}/release/candado"

clean: ## remove what cargo built
	cargo clean

clean-cache: ## remove the downloaded servers and drivers
	rm -rf "$${CANDADO_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/candado}"
