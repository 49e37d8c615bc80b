# The front door. Everything else is cargo.
#
#   make run     the head to head: every way to report, on this host; ends in a table and a verdict
#   make engine  what the guest's reporting engine costs a workload: docs/engine.md
#   make test    every test, on the real /dev/kvm where there is one
#   make check   what has to pass before a commit: format, lints, docs, benches compiled, tests
#   make bench   criterion benches
#   make doctor  what this host can do
#
# The lab: hardware virtualisation, emulated and counted in instructions; what it needs is fetched when root.
#
#   make lab         the ladder in instructions
#   make lab-check   the gate on path length: fails if a rung takes over 1 % more than results/reference/lab-check
#   make lab-accept  makes what lab-check measured last the new reference
#   make lab-test    the conformance suite in the lab, where hypercalls are delivered
#   make lab-detour  shows that the gate notices: a build with a path two per cent too long must fail it

CARGO ?= cargo
PAGEHINT = target/release/pagehint
CHECK = lab-check
REFERENCE = results/reference/lab-check

.PHONY: run engine test check bench doctor lab lab-check lab-accept lab-test lab-detour lint tools

run: tools
	$(CARGO) run --release --locked -- compare

engine: tools
	$(CARGO) run --release --locked -- page-faults

test: tools
	$(CARGO) test --workspace --locked

bench: tools
	$(CARGO) bench --workspace --locked

doctor: tools
	$(CARGO) run --release --locked -- doctor

lab: tools
	$(CARGO) run --release --locked -- lab

lab-check: tools
	rm -rf target/$(CHECK)
	$(CARGO) run --release --locked -- lab compare --plan $(CHECK) --out target/$(CHECK) --against $(REFERENCE)

lab-accept:
	@test -f target/$(CHECK)/summary.json || { echo "nothing has been measured: make lab-check"; exit 1; }
	rm -rf $(REFERENCE)
	cp -R target/$(CHECK) $(REFERENCE)

# Moved away at once: a build with a detour must never be taken for the other.
lab-detour: tools
	rm -rf target/lab-detour
	$(CARGO) build --release --locked --features detour
	mv $(PAGEHINT) target/pagehint-detour
	target/pagehint-detour lab compare --plan $(CHECK) --out target/lab-detour --against $(REFERENCE); test $$? = 3

# Cargo hands every test program to the lab instead of running it here.
lab-test: tools
	$(CARGO) build --release --locked
	PAGEHINT_REQUIRE_KVM=1 CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$(CURDIR)/$(PAGEHINT) lab --clock wall --" \
		$(CARGO) test --locked -p pagehint-host --test conformance

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
