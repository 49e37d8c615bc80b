//! The agent: the only process of a Linux guest.
//!
//! It mounts what it needs, loads the drivers it is told of, runs one task, and says what it found in lines on its
//! console (`agent: NAME=VALUE`). Where it stands it says on the host's control port, as the payload does: the host looks
//! at things then. Its words come behind `--` on the kernel's command line.
//!
//! It needs no crate and no file of its own: a static program is all there is in the initramfs beside modules.

use std::fmt::Display;
use std::panic;
use std::process::ExitCode;

mod drivers;
mod memory;
mod system;
mod task;
mod words;

use system::Control;
use words::Words;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!(
            "agent: it is the first process of a Linux guest and nothing else: use `pagehint lab linux`"
        );
        return ExitCode::from(2);
    }
    // Not to return: a first process that ends is a panic of the kernel.
    panic::set_hook(Box::new(|panic| {
        say("panic", &panic);
        system::power_off();
    }));
    if let Err(error) = run() {
        say("error", &error);
    }
    system::control(Control::Done);
    // The host has left by now. Should it not have, this ends the machine.
    system::power_off()
}

fn run() -> Result<(), String> {
    system::prepare()?;
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    say("kernel", &release.trim());
    let words = Words::of(std::env::args().skip(1))?;
    let driver = drivers::load(&words)?;
    task::run(&words, &driver)
}

/// Says a thing by its name.
fn say(name: &str, value: &dyn Display) {
    println!("agent: {name}={value}");
}
