//! The payload image: the bare shell around the library.
//!
//! On metal this is the whole program; anywhere else it is a stub, so that `cargo build` and `cargo test` of
//! the workspace need no other target. `host/build.rs` builds the real thing.

#![cfg_attr(any(metal, target_os = "none"), no_std, no_main)]

#[cfg(any(metal, target_os = "none"))]
mod bare;

#[cfg(not(any(metal, target_os = "none")))]
fn main() {
    println!("This program runs on bare metal; `pagehint run` boots it.");
}
