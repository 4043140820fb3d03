# The few commands a person types. `make help` lists them.
SWIFT_BUILD = swift build -c release
# Tests reach internal declarations; release mode because kernels are about fifty times slower in debug.
# Built by `swift build`, as the examples are: `swift test` would pass other flags and both build the library.
TEST_FLAGS = -c release -Xswiftc -enable-testing --scratch-path .build/test

.PHONY: help demo build test check examples docs man bench format fuzz clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: build ## build, then fine-tune the bundled model on the bundled pictures
	.build/release/finetune --model models/resnet-tiny.onnx --unfreeze fc

build: ## install what is missing and build the program
	@scripts/bootstrap build
	$(SWIFT_BUILD)

test: ## install what tests need, build and run them
	@scripts/bootstrap test
	swift build --build-tests $(TEST_FLAGS)
	swift test --skip-build $(TEST_FLAGS)

check: test lint examples docs ## everything that continuous integration runs

.PHONY: lint
lint: ## formatting and generated files
	swift format lint --strict --configuration .swift-format --recursive Package.swift Sources Tests
	scripts/generate-registry --check
	scripts/generate-protobuf --check

examples: ## build and run the examples, a package outside of this tree that uses the library, and build the benchmarks
	scripts/check-examples
	scripts/check-external-package
	swift build $(TEST_FLAGS) --package-path Benchmarks

docs: ## make the library's documentation, run the commands of the documents (after make test)
	scripts/check-articles
	scripts/documentation
	scripts/check-commands

bench: build ## time finetune beside PyTorch and ONNX Runtime (pip install -r scripts/requirements.txt)
	Benchmarks/peers.py

format: ## format the sources
	swift format --in-place --configuration .swift-format --recursive Package.swift Sources Tests

fuzz: ## feed the loaders damaged files; MINUTES=1 by default
	scripts/fuzz $(or $(MINUTES),1)

man: build ## the manual page and shell completions, under .build/share
	@mkdir -p $(addprefix .build/share/,man/man1 bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	scripts/generate-man .build/release/finetune > .build/share/man/man1/finetune.1
	.build/release/finetune --generate-completion-script bash > .build/share/bash-completion/completions/finetune
	.build/release/finetune --generate-completion-script zsh > .build/share/zsh/site-functions/_finetune
	.build/release/finetune --generate-completion-script fish > .build/share/fish/vendor_completions.d/finetune.fish

clean: ## forget everything built
	rm -rf .build
