//! Builds the payload image that [`image`](src/kvm/image.rs) embeds.
//!
//! Plain `rustc` three times (abi, the payload's library, its shell): the payload has no dependency but `abi`,
//! so that no second cargo, lock file or target directory is needed. The target is `x86_64-unknown-none` where
//! its `core` is installed, else the host's own, with the flags that make a bare-metal image of it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const BARE_TARGET: &str = "x86_64-unknown-none";
/// Overrides the choice, to try the fallback where both are possible.
const TARGET_VARIABLE: &str = "PAGEHINT_GUEST_TARGET";

fn main() {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let root = manifest.parent().expect("the crate is in the workspace");
    let guest = root.join("guest-payload");
    for watched in [guest.join("src"), guest.join("guest.ld"), root.join("abi/src")] {
        println!("cargo:rerun-if-changed={}", watched.display());
    }
    println!("cargo:rerun-if-env-changed={TARGET_VARIABLE}");

    let build = Build { out: PathBuf::from(variable("OUT_DIR")), target: target() };
    let abi = build.library("abi", &root.join("abi/src/lib.rs"), None);
    let library = build.library("guest_payload", &guest.join("src/lib.rs"), Some(("abi", &abi)));
    let image = build.image(&guest, &[("abi", &abi), ("guest_payload", &library)]);

    let agent = guest.join("linux/agent/src");
    println!("cargo:rerun-if-changed={}", agent.display());
    println!("cargo:rustc-env=PAGEHINT_AGENT={}", agent_of(&agent, &build.out).display());
    println!("cargo:rustc-env=PAGEHINT_PAYLOAD={}", image.display());
    println!("cargo:rustc-env=PAGEHINT_PAYLOAD_TARGET={}", build.target);
}

/// The only process of a Linux guest: a static program for the host's own target. Where there is no static C library it
/// is empty, and whoever would run it says so.
fn agent_of(source: &Path, out: &Path) -> PathBuf {
    let path = out.join("agent");
    let output = Command::new(variable("RUSTC"))
        .arg(source.join("main.rs"))
        .args(["--crate-name", "agent", "--edition", "2024", "--target", &variable("HOST")])
        .args(["--cap-lints", "allow", "-C", "target-feature=+crt-static", "-C", "relocation-model=static"])
        .args([
            "-C",
            "panic=abort",
            "-C",
            "strip=symbols",
            "-C",
            "opt-level=2",
            "-C",
            "codegen-units=1",
            "-o",
        ])
        .arg(&path)
        .output()
        .expect("rustc runs: cargo has just run it");
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said.lines().find(|line| line.contains("error")).unwrap_or("its linker says nothing");
        println!("cargo:warning=no Linux guests in this build, their agent is not linked: {why}");
        std::fs::write(&path, b"").expect("the output directory is writable");
    }
    path
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// The bare target if there is a `core` for it, else the host's. The compiler names the directory of a target
/// whether or not anything is in it.
fn target() -> String {
    if let Ok(target) = env::var(TARGET_VARIABLE) {
        return target;
    }
    let output = Command::new(variable("RUSTC"))
        .args(["--print", "target-libdir", "--target", BARE_TARGET])
        .output()
        .expect("rustc runs: cargo has just run it");
    let directory = String::from_utf8_lossy(&output.stdout);
    let installed = output.status.success() && Path::new(directory.trim()).is_dir();
    if installed { BARE_TARGET.to_owned() } else { variable("HOST") }
}

struct Build {
    out: PathBuf,
    target: String,
}

impl Build {
    fn library(&self, name: &str, source: &Path, dependency: Option<(&str, &Path)>) -> PathBuf {
        let path = self.out.join(format!("lib{name}.rlib"));
        let mut rustc = self.rustc(name, source, &path);
        rustc.args(["--crate-type", "rlib"]);
        self.run(rustc, dependency.as_slice());
        path
    }

    fn image(&self, guest: &Path, dependencies: &[(&str, &Path)]) -> PathBuf {
        let path = self.out.join("payload.elf");
        let mut rustc = self.rustc("payload", &guest.join("src/main.rs"), &path);
        let script = guest.join("guest.ld");
        rustc.args(["--crate-type", "bin", "-C", "strip=symbols"]);
        if self.target == BARE_TARGET {
            rustc.arg(format!("-Clink-arg=-T{}", script.display())).arg("-Clink-arg=--build-id=none");
        } else {
            rustc.arg(format!("-Clink-arg=-Wl,-T{}", script.display()));
            for flag in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"] {
                rustc.arg(format!("-Clink-arg={flag}"));
            }
        }
        self.run(rustc, dependencies);
        path
    }

    fn rustc(&self, name: &str, source: &Path, path: &Path) -> Command {
        let mut rustc = Command::new(variable("RUSTC"));
        rustc
            .arg(source)
            .args(["--crate-name", name, "--edition", "2024", "--target", &self.target, "--cfg", "metal"])
            .args(["--check-cfg", "cfg(metal)", "--cap-lints", "allow"])
            // The payload is an ELF file that is loaded as it is: nothing relocates it, nothing unwinds.
            .args(["-C", "panic=abort", "-C", "relocation-model=static", "-C", "no-redzone=yes"])
            // Vector instructions would not survive KVM's emulation of ring 0.
            .args(["-C", "no-vectorize-loops", "-C", "no-vectorize-slp"])
            .args(["-C", "opt-level=3", "-C", "codegen-units=1", "-o"])
            .arg(path);
        rustc
    }

    fn run(&self, mut rustc: Command, dependencies: &[(&str, &Path)]) {
        for (name, path) in dependencies {
            rustc.arg("--extern").arg(format!("{name}={}", path.display()));
        }
        rustc.arg("-L").arg(&self.out);
        let output = rustc.output().expect("rustc runs: cargo has just run it");
        assert!(
            output.status.success(),
            "the payload does not build for {}:\n{}",
            self.target,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
