# Every command one needs, in one place; CI (.ci/run) calls the same ones.
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Cargo profile of the run targets: `make run-joiner BUILD=release` to measure something.
BUILD ?= dev
# The directory of default.toml and the profiles.
CONFIG ?= $(CURDIR)/config
# More arguments for a run target's program: `make run-scheduler-loop ARGS="--duration 60s"`.
ARGS ?=
# How often `make chaos` lets everything go wrong.
RUNS ?= 20
# How long the demo asks for trips: `make demo SECONDS=20`; without it, until Ctrl-C.
SECONDS ?=
# `QUICK=1 make compare-schedulers` for a short comparison.
QUICK ?=

TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
bin_dir = $(TARGET_DIR)/$(if $(filter dev,$(BUILD)),debug,$(BUILD))

# All programs are built together: built one by one, each would want the libraries with its own set of features.
build = cargo build --profile $(BUILD) --workspace --bins
# With the default configuration, and no Kafka where it says, the dev stack is started in the background.
# The program takes the shell's place, so that Ctrl-C reaches it alone.
# $(call run,program,subcommand)
run = $(build) && \
  deploy/devstack ensure "$(bin_dir)" "$(1)" --config-dir "$(CONFIG)" $(2) $(ARGS) && \
  exec "$(bin_dir)/$(1)" --config-dir "$(CONFIG)" $(2) $(ARGS)

##@ Start here

.PHONY: demo
demo: ## everything at once in this terminal; ends with every trip accounted for (SECONDS=20, else Ctrl-C)
	@$(build) && \
	  exec "$(bin_dir)/tripctl" --config-dir "$(CONFIG)" --log-format text demo $(if $(SECONDS),--seconds "$(SECONDS)") $(ARGS)

##@ Kafka: the dev stack needs nothing but cargo, and starts by itself; or a real one

.PHONY: devstack
devstack: ## the dev stack on localhost:9092 and :8081, in this terminal
	@$(build) && exec deploy/devstack run "$(bin_dir)" $(ARGS)

.PHONY: stop
stop: ## stop the dev stack that a run target has started; the data stays
	@deploy/devstack down

.PHONY: devstack-clean
devstack-clean: ## delete the dev stack's data
	@deploy/devstack clean

.PHONY: kafka-up
kafka-up: ## Apache Kafka on localhost:9092, a registry on localhost:8081: by Docker, else on Java
	@deploy/kafka-up

.PHONY: kafka-jvm-up
kafka-jvm-up: ## the same, on Java 17 without Docker (KAFKA_PORT, REGISTRY_PORT, KAFKA_DATA_DIR)
	@deploy/kafka-jvm up

.PHONY: kafka-down
kafka-down: ## stop what kafka-up started; the data stays
	@deploy/kafka-down

.PHONY: kafka-status
kafka-status: ## what of it is running, and where: in Docker or on Java
	@deploy/kafka-status

.PHONY: kafka-clean
kafka-clean: ## stop it and delete the data
	@deploy/kafka-down --clean

##@ Run (each in its terminal; Ctrl-C ends it; ARGS="..." is handed on, BUILD=release for speed)

.PHONY: run-producer
run-producer: ## the HTTP API that writes trips, on http://localhost:8001
	@$(call run,producer-api)

.PHONY: run-joiner
run-joiner: ## the three-way join
	@$(call run,joiner)

.PHONY: run-scheduler-loop
run-scheduler-loop: ## asks the API for 3 trips each 0.1 s
	@$(call run,scheduler-loop)

.PHONY: run-scheduler-cron
run-scheduler-cron: ## asks the API for 30 trips each 3 s
	@$(call run,scheduler-cron)

##@ Look

.PHONY: topics
topics: ## describe the topics
	@$(call run,tripctl,topics)

.PHONY: verify
verify: ## does every trip in the inputs have exactly one fate in the outputs?
	@$(call run,tripctl,verify)

.PHONY: compare-schedulers
ifeq ($(QUICK),)
compare-schedulers: BUILD = release
endif
compare-schedulers: ## what do the schedulers differ in? writes target/compare/report.html (QUICK=1 for half a minute)
	@$(build) && exec "$(bin_dir)/lab" --config-dir "$(CONFIG)" --log-format text \
	  compare --report "$(CURDIR)/target/compare/report.md" $(if $(QUICK),--quick) $(ARGS)

.PHONY: bench
bench: BUILD = release
bench: ## how fast are the API and the joiner here? (ARGS="--json FILE")
	@$(call run,lab,bench all)

.PHONY: bench-producer
bench-producer: BUILD = release
bench-producer: ## how fast is the API here? (ARGS="--seconds 20 --json FILE")
	@$(call run,lab,bench producer)

.PHONY: bench-latency
bench-latency: BUILD = release
bench-latency: ## how long does a complete trip wait until it can be read as joined? (ARGS="--rate 2000 --json FILE")
	@$(call run,lab,bench latency)

.PHONY: bench-joiner
bench-joiner: BUILD = release
bench-joiner: ## how fast is the joiner here? (ARGS="--trips 1000000 --json FILE")
	@$(call run,lab,bench joiner)

.PHONY: bench-devstack
bench-devstack: ## how fast is the dev stack here, beside Apache Kafka?
	@cargo build --release --package devstack --bins --example figures
	@deploy/with-kafka "$(TARGET_DIR)/release/examples/figures"

##@ Develop

.PHONY: build
build: ## build everything
	cargo build --workspace --all-targets

.PHONY: test
test: ## all tests, on the dev stack (ARGS="-p join" for less)
	cargo test $(or $(ARGS),--workspace)

# The tests that talk to Kafka: those of joiner and tripctl, producer-api, the dev stack's own, and all of e2e.
KAFKA_TESTS := on_kafka kill api conformance $(basename $(notdir $(wildcard crates/e2e/tests/*.rs)))

.PHONY: chaos
chaos: ## everything goes wrong for the joiner, RUNS times: does each row still have its one fate? (RUNS=1000)
	TRIPSTREAM_TEST_RUNS=$(RUNS) cargo test -p joiner --test chaos -- --nocapture --test-threads 1

.PHONY: test-kafka
test-kafka: ## those that talk to Kafka, on an Apache Kafka and a registry of their own
	@cargo test --no-run --workspace
	deploy/with-kafka cargo test $(or $(ARGS),--workspace $(addprefix --test ,$(KAFKA_TESTS)))

.PHONY: test-python
test-python: ## do Python's clients read our topics, and we .env as Python does? (fetches them with pip)
	@test -x .run/python/bin/python || python3 -m venv .run/python
	@.run/python/bin/pip install --quiet --disable-pip-version-check "confluent-kafka[avro,schemaregistry]>=2.6,<3" "python-dotenv==1.2.*"
	@cargo test --no-run --workspace
	@export TRIPSTREAM_TEST_PYTHON="$(CURDIR)/.run/python/bin/python" && \
	  cargo test --workspace --lib dotenv -- --ignored && \
	  cargo test --workspace --test confluent_client -- --ignored

.PHONY: test-clients
test-clients: ## do Apache Kafka's own tools and Kafka Streams work on the dev stack? (Java 17, Maven)
	@cargo build --package devstack --bins
	@export DEVSTACK_DATA_DIR="$$(mktemp -d)" KAFKA_PORT=19092 REGISTRY_PORT=18081; \
	  trap 'deploy/devstack down; rm -rf "$$DEVSTACK_DATA_DIR"' EXIT; \
	  deploy/devstack up "$(TARGET_DIR)/debug" && \
	  crates/devstack/clients/java-tools "127.0.0.1:$$KAFKA_PORT" $(ARGS)

.PHONY: fmt
fmt: ## format the code
	cargo fmt --all

.PHONY: fmt-check
fmt-check: ## is it formatted?
	cargo fmt --all --check

.PHONY: lint
lint: ## clippy, warnings are errors
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: doc
doc: ## the crates' documentation, in target/doc; warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

.PHONY: layers
layers: ## does every crate depend only on what it may?
	@.ci/layers

.PHONY: deny
deny: ## licences, sources and known vulnerabilities of the dependencies
	@.ci/deny

.PHONY: check
check: ## all of it, as CI does
	@.ci/run

.PHONY: clean
clean: ## delete what was built (not Kafka's data: kafka-clean)
	cargo clean

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
