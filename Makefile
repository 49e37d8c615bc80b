# The front door. Everything else is cargo.
#
#   make run     the head to head: every way to report, on this host; ends in a table and a verdict
#   make engine  what the guest's reporting engine costs a workload: docs/engine.md
#   make test    every test, on the real /dev/kvm where there is one
#   make check   what has to pass before a commit: format, lints, docs, benches compiled, tests
#   make bench   criterion benches
#   make aa      a rung against itself 200 times, and 100 times against itself slowed by 5 %: what is called different; some 20 minutes
#   make doctor  what this host can do
#   make fuzz    the fuzz targets, TIME=60 seconds each; TARGETS="balloon packed" for some. Any toolchain and a C++ compiler will do
#   make look    report.html of every reference in a browser: telephone and desk, light and dark; pictures below target/look
#   make combinations  every way to report that the rules allow, on this host: some minutes
#   make docs    fills in what README and docs/answers have from results/reference; tests fail where they have drifted
#   make fleet   a thousand runs and a million trials put together: what it takes, in time and memory
#   make modules builds the modules of host/kernel for Debian's kernels, SERIES="6.1 6.12", and says where they are; loads none
#   make signal-storm  runs that are stopped, killed and held up at random, MINUTES=10 of them: what is left can be read
#
# The lab: hardware virtualisation, emulated and counted in instructions; what it needs is fetched when root.
#
#   make lab         the ladder in instructions, on AMD's processor
#   make lab-intel   the same on Intel's
#   make lab-check   the gate on path length, on both: fails if a rung takes over 1 % more than results/reference/lab-check
#                    or lab-check-intel
#   make lab-accept  makes what lab-check measured last the new references, of both (make -k lab-check goes on with the second)
#   make lab-test    the conformance suite in the lab, where hypercalls are delivered: over what they ring; OTHERS= for all of it
#   make lab-test-6.12  the same, and every two values, on a kernel that has Xen's and Hyper-V's hypercalls too
#   make lab-test-intel  the same on Intel's processor, which takes much longer; ONLY=NAME for tests of such a name
#   make modules-test  what the modules for the host's kernel refuse and serve, on Debian's kernels in the lab, SERIES="6.1 6.12"
#   make lab-detour  shows that the gate notices: a build with a path two per cent too long must fail it, on both

CARGO ?= cargo
PAGEHINT = target/release/pagehint
CHECK = lab-check
REFERENCES = results/reference
# Everything of the gate is done for both processors: AMD's as lab-check, Intel's as lab-check-intel.
CPUS = amd intel
name = $(CHECK)$(if $(filter intel,$(1)),-intel)
ladder = lab compare --cpu $(1) --plan $(CHECK) --against $(REFERENCES)/$(call name,$(1))

.PHONY: run engine test check bench aa doctor fuzz look combinations signal-storm lab lab-intel lab-check lab-check-gone lab-accept lab-test lab-test-6.12 lab-test-intel lab-detour lint tools
.PHONY: docs fleet
.PHONY: modules modules-test

run: tools
	$(CARGO) run --release --locked -- compare

engine: tools
	$(CARGO) run --release --locked -- page-faults

# Unit tests first: they are the quickest to fail.
test: tools
	$(CARGO) test --workspace --locked --lib --bins
	$(CARGO) test --workspace --locked --test '*'
	$(CARGO) test --workspace --locked --doc

bench: tools
	$(CARGO) bench --workspace --locked

doctor: tools
	$(CARGO) run --release --locked -- doctor

# Release or not makes no difference to a page.
look: tools
	$(CARGO) build --locked -p pagehint
	.ci/look.py target/debug/pagehint target/look $(patsubst %/,%,$(dir $(shell find $(REFERENCES) -name trials.jsonl)))

# Slowed by a build of its own, which labels every table of it. The first eight pairs learn what a report costs: the comparisons that hold one are not made.
aa: target/pagehint-slowdown
	rm -rf target/aa target/aa-slowed
	$(CARGO) run --release --locked -- same --plan calm --out target/aa
	PAGEHINT_SLOWDOWN=5% target/pagehint-slowdown same --plan calm --reports 400 --blocks 8720 --out target/aa-slowed

target/pagehint-slowdown: tools
	$(CARGO) build --release --locked --features slowdown
	mv $(PAGEHINT) $@

combinations: tools
	PAGEHINT_REQUIRE_KVM=1 PAGEHINT_COMBINATIONS=all $(CARGO) test --locked -p pagehint-host --test combinations

docs: tools
	PAGEHINT_DOCS=write $(CARGO) test --locked -p pagehint --test docs what_docs_have

fleet: tools
	$(CARGO) test --release --locked -p pagehint --test exchange a_million_trials -- --ignored --nocapture

MINUTES = 10
signal-storm: tools
	PAGEHINT_REQUIRE_KVM=1 PAGEHINT_STORM_MINUTES=$(MINUTES) \
		$(CARGO) test --locked -p pagehint --test leaving minutes_of_signals -- --ignored --nocapture

# As cargo-fuzz does it, which needs a toolchain of every night. What is found new stays in fuzz/corpus, where tests play it again.
TARGETS = abi balloon calls foreign frames log packed pairing request status stores
TIME = 60
TRIPLE = x86_64-unknown-linux-gnu
COVERAGE = --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions
fuzz: tools
	RUSTFLAGS="$(COVERAGE)" $(CARGO) build --release --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --target $(TRIPLE)
	for target in $(TARGETS); do \
		mkdir -p fuzz/corpus/$$target fuzz/artifacts/$$target && \
		target/fuzz/$(TRIPLE)/release/$$target -max_total_time=$(TIME) -artifact_prefix=fuzz/artifacts/$$target/ \
			fuzz/corpus/$$target fuzz/seeds/$$target || exit 1; \
	done

SERIES = 6.1 6.12
modules: tools
	for series in $(SERIES); do $(CARGO) run --release --locked -- modules --kernel $$series || exit 1; done

lab: tools
	$(CARGO) run --release --locked -- lab

lab-intel: tools
	$(CARGO) run --release --locked -- lab --cpu intel

lab-check: $(CPUS:%=lab-check-on-%)

# Before any is measured, those of both processors go: what lab-accept finds is of one build.
lab-check-gone: tools
	rm -rf $(foreach cpu,$(CPUS),target/$(call name,$(cpu)))

lab-check-on-%: lab-check-gone
	$(CARGO) run --release --locked -- $(call ladder,$*) --out target/$(call name,$*)

lab-accept: $(CPUS:%=lab-measured-on-%) $(CPUS:%=lab-accept-on-%)

lab-measured-on-%:
	@test -f target/$(call name,$*)/summary.json || { echo "$* has not been measured: make -k lab-check"; exit 1; }

lab-accept-on-%: lab-measured-on-%
	rm -rf $(REFERENCES)/$(call name,$*).new
	cp -R target/$(call name,$*) $(REFERENCES)/$(call name,$*).new
	rm -rf $(REFERENCES)/$(call name,$*)
	mv $(REFERENCES)/$(call name,$*).new $(REFERENCES)/$(call name,$*)

lab-detour: target/pagehint-detour $(CPUS:%=lab-detour-on-%)

# Moved away at once: a build with a detour must never be taken for the other.
target/pagehint-detour: tools
	$(CARGO) build --release --locked --features detour
	mv $(PAGEHINT) $@

lab-detour-on-%: target/pagehint-detour
	rm -rf target/lab-detour-$*
	target/pagehint-detour $(call ladder,$*) --out target/lab-detour-$*; test $$? = 3

# Cargo hands every test program to the lab instead of running it here.
in_lab = PAGEHINT_REQUIRE_KVM=1 CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$(CURDIR)/$(PAGEHINT) lab $(1) --" \
	$(CARGO) test --locked -p pagehint-host --test $(2)
conformance = $(call in_lab,$(1),conformance)

# What another doorbell rings runs on this machine's own KVM; OTHERS= for all of it.
OTHERS = mmio sync async virtio ioeventfd polling options port
lab-test: tools
	$(CARGO) build --release --locked
	$(call conformance,--clock wall) -- $(OTHERS:%=--skip %)

modules-test: tools
	$(CARGO) build --release --locked
	for series in $(SERIES); do \
		$(call in_lab,--kernel $$series --kernel-module kvmhint --kernel-module vhost_pagehint,conformance) -- modules:: || exit 1; done

# By its last line: a name that no test has there would end well too.
lab-test-6.12: tools
	$(CARGO) build --release --locked
	$(call in_lab,--clock wall --kernel 6.12,conformance)
	$(call in_lab,--clock wall --kernel 6.12,combinations)

lab-test-intel: tools
	$(CARGO) build --release --locked
	$(call conformance,--cpu intel --deadline 14400) -- $(ONLY) | tee target/lab-test-intel.txt
	@grep -q '^test result: ok\. [1-9]' target/lab-test-intel.txt || \
		{ echo "a test failed, or none has $(ONLY) in its name: see above"; exit 1; }

check: lint test

# Both targets: the workspace on the host's, the payload on the bare one where its core is installed.
lint: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@if [ -d "$$(rustc --print target-libdir --target x86_64-unknown-none)" ]; then \
		set -x; $(CARGO) clippy -p guest-payload --target x86_64-unknown-none --locked -- -D warnings; \
	else echo "SKIPPED clippy of the bare payload: rustup target add x86_64-unknown-none"; fi
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked
	$(CARGO) bench --workspace --no-run --locked

# A Rust toolchain and a linker are all that is needed; where there is none and we may, a linker is installed.
tools:
	@command -v $(CARGO) >/dev/null || { echo "no cargo: install Rust 1.89 or later with rustup"; exit 1; }
	@command -v cc >/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev; \
	else echo "no C linker: install gcc and libc6-dev (Debian: apt-get install gcc libc6-dev)"; exit 1; fi
