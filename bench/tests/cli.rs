//! The command as a user meets it, as far as it needs no KVM.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

fn pagehint(arguments: &[&str]) -> Output {
    Command::cargo_bin("pagehint").unwrap().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs, expects the code, and returns what was said on standard output or, for errors, on standard error.
fn expect(code: i32, arguments: &[&str]) -> String {
    let output = pagehint(arguments);
    let said = if code == 0 { &output.stdout } else { &output.stderr };
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    let said = text(said);
    assert!(!said.contains("panicked") && !said.is_empty(), "{arguments:?}: {said}");
    said
}

#[test]
fn list_names_every_preset_axis_and_plan() {
    let list = expect(0, &["list"]);
    for name in [
        "in-kernel",
        "hypercall-kernel",
        "hypercall-each",
        "ring-async",
        "packed-sync",
        "virtio-event-idx",
        "--ring-features",
        "indirect+event-idx+in-order",
        "--doorbell",
        "ioeventfd-mmio",
        "dontneed",
        "--guest-ring",
        "punch-hole",
        "hugetlb",
        "dontneed of memfd: the file keeps",
        "punch-hole of hugetlb, blocks below order 9: ",
        "quick",
    ] {
        assert!(list.contains(name), "{name}");
    }
}

#[test]
fn a_linux_guest_has_to_have_room() {
    let said = expect(2, &["linux", "--memory", "128M"]);
    assert!(said.contains("use a larger --memory"), "{said}");
    let file = ["--guest-kernel", "/some/vmlinuz", "--report-by", "hypercall-each"];
    let said = expect(2, &[&["lab", "linux"][..], &file].concat());
    assert!(said.contains("--report-by off,virtio"), "{said}");
    let said = expect(2, &["linux", "--kernel", "6.1", "--modules", "/lib/modules"]);
    assert!(said.contains("leave out --guest-modules"), "{said}");
    let said = expect(2, &["memhog", "--console"]);
    assert!(said.contains("boots no Linux guest"), "{said}");
}

#[test]
fn where_linux_cannot_boot_the_lab_is_named() {
    if !Path::new("/sys/module/kvm_pvm").is_dir() {
        println!("ignored: this machine's KVM may boot Linux");
        return;
    }
    let said = expect(77, &["linux"]);
    assert!(said.contains("emulates ring 0") && said.contains("pagehint lab linux"), "{said}");
}

#[test]
fn what_is_no_kernel_is_said_before_anything_boots() {
    let place = tempfile::tempdir().unwrap();
    for (text, reason) in [("", "it is empty"), ("\x7fELF", "it is an ELF file"), ("#!/bin/sh", "too short")]
    {
        let file = place.path().join("vmlinuz");
        fs::write(&file, text).unwrap();
        let said = expect(1, &["lab", "linux", "--guest-kernel", file.to_str().unwrap()]);
        assert!(said.contains(reason) && said.contains("give a bzImage"), "{said}");
    }
    let said = expect(1, &["lab", "linux", "--guest-kernel", "/no/such/vmlinuz"]);
    assert!(said.contains("/no/such/vmlinuz is no kernel"), "{said}");
}

#[test]
fn schemas_are_json_and_speak_of_their_files() {
    for (document, property) in [
        ("summary", "answer"),
        ("summary", "waterfalls"),
        ("summary", "breakdown"),
        ("trial", "ending"),
        ("trial", "settled"),
        ("environment", "kvm"),
        ("plan", "guest-ring"),
        ("plan", "min-order"),
    ] {
        let schema: serde_json::Value = serde_json::from_str(&expect(0, &["schema", document])).unwrap();
        assert!(schema.to_string().contains(&format!("\"{property}\"")), "{document}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(expect(0, &["completions", shell]).contains("compare"));
    }
}

#[test]
fn help_states_the_exit_codes() {
    assert!(expect(0, &["--help"]).contains("77"));
}

#[test]
fn wrong_usage_is_answered_with_2_and_the_way_out() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage"),
        (&["compare", "--quick", "--plan", "x.toml"], "cannot be used with"),
        (&["compare", "--plan", "/no/such/plan.toml"], "default, quick"),
        (&["compare", "--batch", "0"], "1 to 511"),
        (&["compare", "--batch", "512", "--dry-run"], "1 to 511"),
        (&["compare", "--rungs", "floor,floor"], "name each once"),
        (&["compare", "--rungs", "flor"], "floor"),
        (&["compare", "--order", "11"], "0..=10"),
        (&["compare", "--blocks", "0"], "blocks is 0"),
        (&["compare", "--arena", "3M"], "power of two"),
        (&["compare", "--vcpus", "2"], "vcpus means nothing to compare"),
        (&["compare", "--seed", "18446744073709551615"], "seed"),
        (&["run", "--carrier", "pigeon"], "registers, batch, ring"),
        (&["run", "--preset", "hypercall-each", "--doorbell", "ioeventfd-mmio"], "--servicer device"),
        (&["run", "--completion", "return"], "poll or interrupt"),
        (&["run", "--reports", "0"], "at least one report"),
        (&["run", "--doorbell", "hypercall-kernel"], "--servicer kernel"),
        (&["run", "--preset", "in-kernel", "--carrier", "ring"], "--carrier empty"),
        (&["run", "--preset", "in-kernel", "--guest-ring", "3"], "--guest-ring 0"),
        (&["compare", "--rungs", "in-kernel", "--guest-ring", "3"], "--guest-ring 0"),
        (&["run", "--arena", "64X"], "64M"),
        (&["guess"], "unrecognized subcommand"),
        (&["lab", "guess"], "no experiment guess"),
        (&["page-faults", "--capacity", "0"], "blocks, not 0"),
        (&["page-faults", "--min-order", "11"], "order 11"),
        (&["page-faults", "--delay-ms", "0"], "--delay-ms must not be 0"),
        (&["page-faults", "--vcpus", "9"], "1 to 8"),
        (&["page-faults", "--vcpus", "0"], "1 to 8"),
        (&["page-faults", "--rungs", "floor"], "names no pages"),
        (&["page-faults", "--memory", "3M"], "multiple of 4 MiB"),
        (&["page-faults", "--blocks", "0"], "blocks is 0"),
        (&["page-faults", "--rounds", "2"], "rounds means nothing to page-faults"),
        (&["engine", "--queue-size", "32", "--capacity", "64"], "--queue-size 64"),
        (&["engine", "--preset", "ring-sync", "--carrier", "empty"], "--carrier registers"),
        (&["engine", "--walk", "synchronous", "--capacity", "2"], "means nothing"),
        (&["engine", "--load", "memhog", "--window-ms", "5"], "means nothing"),
        (&["engine", "--load", "comb", "--vcpus", "4"], "--vcpus means nothing"),
        (&["engine", "--load", "churn", "--settle-ms", "5"], "--settle-ms means nothing"),
        (&["page-faults", "--settle-ms", "5"], "settle-ms means nothing to page-faults"),
        (&["walk", "--lengths", "2251799813686248"], "footprint"),
        (&["memhog", "--queue-size", "33"], "a power of two"),
        (&["compare", "--batch", "-1"], "invalid value '-1'"),
        (&["soak", "--minutes", "-1"], "minutes is -1"),
        (&["walk", "--lengths", "0"], "lengths is 0"),
        (&["rate", "--delays-ms", "18446744073709551615"], "for '--delays-ms"),
        (&["rate", "--delays-ms", "9223372036854775807"], "delays-ms is"),
        (&["memhog", "--discard", "none"], "no memory would come back"),
        (&["rate", "--discard", "none"], "use dontneed"),
        (&["sweep", "--discard", "none"], "use dontneed"),
        (&["rate", "--queue-size", "64"], "choose a rung with a ring"),
        (&["sweep", "--walk", "synchronous"], "the same trial twice"),
        (&["sweep", "--blocks", "10000"], "1000000 are the most"),
        (
            &["lab", "--against", concat!(env!("CARGO_MANIFEST_DIR"), "/../results/reference/lab-check")],
            "another plan",
        ),
        (&["soak", "--minutes", "0"], "minutes is 0"),
        (&["page-faults", "--plan", "/no/such/plan.toml"], "cannot be read"),
        (&["lab", "--kernel", "newest"], "a series such as 6.1"),
        (&["lab", "--clock", "moon"], "instructions, wall"),
        (&["lab", "--cpu", "mips"], "amd, intel"),
        (&["lab", "--cpu", "intel", "--clock", "wall"], "no clock wall"),
        (&["lab", "--batch", "0"], "1 to 511"),
        (&["lab", "--plan", "quick", "--", "/bin/true"], "mean nothing to a program"),
        (&["lab", "walk", "--", "/bin/true"], "cannot be used with"),
        (&["lab", "memhog"], "counts instructions"),
        (&["lab", "--against", "x", "--", "/bin/true"], "cannot be used with"),
    ];
    for (arguments, way_out) in cases {
        let said = expect(2, arguments);
        assert!(said.contains(way_out), "{arguments:?}: {said}");
    }
}

#[test]
fn without_an_emulator_the_lab_says_how_to_have_one() {
    let nothing = tempfile::tempdir().unwrap();
    let cpus = [
        ("amd", "qemu-system-x86_64", "qemu-system-x86 ("),
        ("intel", "bochs", "bochs bochs-term bochsbios vgabios ("),
    ];
    for (cpu, program, packages) in cpus {
        let output = Command::cargo_bin("pagehint")
            .unwrap()
            .env("PATH", nothing.path())
            .args(["lab", "--offline", "--cpu", cpu, "--out", "/no/such/run"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(77));
        let said = text(&output.stderr);
        let way_out = format!("apt-get update && apt-get install --no-install-recommends {packages}");
        assert!(said.contains(&format!("{program} is not installed")) && said.contains(&way_out), "{said}");
        assert!(said.contains("Fedora: dnf install") && said.contains("NixOS: nix-shell"), "{said}");
    }
}

#[test]
fn without_a_kernel_the_lab_says_how_to_have_one() {
    let nothing = tempfile::tempdir().unwrap();
    let program = nothing.path().join("qemu-system-x86_64");
    fs::write(&program, "#!/bin/sh\necho an emulator\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::cargo_bin("pagehint")
        .unwrap()
        .env("PATH", nothing.path())
        .env("XDG_CACHE_HOME", nothing.path())
        .args(["lab", "--offline", "--kernel", "linux-image-6.1.0-1-cloud-amd64", "--out", "/no/such/run"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(77));
    let said = text(&output.stderr);
    assert!(said.contains("apt-get download linux-image-6.1.0-1-cloud-amd64"), "{said}");
}

#[test]
fn the_labs_first_process_is_nothing_to_start() {
    assert!(expect(1, &["lab-inside"]).contains("use `pagehint lab`"));
    assert!(expect(1, &["lab", "--against", "/no/such/run"]).contains("no run directory"));
}

#[test]
fn a_bad_plan_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.toml");
    let text = "schema-version = 3\nexperiment = \"ladder\"\nname = \"bad\"\n[choices]\nbatches = 3\n";
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let said = expect(2, &["compare", "--dry-run", "--plan", path]);
    assert!(said.contains(path) && said.contains("line 5") && said.contains("batches"), "{said}");
}

#[test]
fn a_dry_run_shows_the_schedule_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::cargo_bin("pagehint")
        .unwrap()
        .current_dir(directory.path())
        .args(["compare", "--dry-run", "--rungs", "floor,virtio", "--blocks", "3", "--seed", "5"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.contains("# schedule: 15 trials in 3 blocks") && shown.contains("seed = 5"), "{shown}");
    assert!(shown.contains("estimate"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_dry_run_of_another_experiment_shows_the_plan_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::cargo_bin("pagehint")
        .unwrap()
        .current_dir(directory.path())
        .args(["rate", "--dry-run", "--delays-ms", "7", "--blocks", "2"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.contains("delays-ms = [7]") && shown.contains("# schedule: 12 trials"), "{shown}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Runs an experiment quickly on the real device; without a usable one there is nothing to see.
fn quickly(directory: &Path, arguments: &[&str]) -> Option<String> {
    let out = directory.to_str().unwrap();
    let output = pagehint(&[arguments, &["--quick", "--out", out]].concat());
    if output.status.code() == Some(77) {
        assert!(std::env::var_os("PAGEHINT_REQUIRE_KVM").is_none(), "{output:?}");
        eprintln!("no usable KVM: {}", text(&output.stderr));
        return None;
    }
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    Some(text(&output.stdout))
}

#[test]
fn the_engine_is_measured_on_the_real_device_and_reported_again() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("page-faults");
    let arguments = [
        "page-faults",
        "--rungs",
        "hypercall-batch,virtio",
        "--units",
        "9",
        "--blocks",
        "1",
        "--window-ms",
        "30",
    ];
    let Some(shown) = quickly(&run, &arguments) else { return };
    for part in ["on with discard", "where it goes", "2019-09", "ok no byte was lost"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let report = fs::read(run.join("report.md")).unwrap();
    fs::remove_file(run.join("report.md")).unwrap();
    let again = expect(0, &["report", run.to_str().unwrap()]);
    assert!(shown.starts_with(&again), "{again}");
    assert_eq!(fs::read(run.join("report.md")).unwrap(), report);

    let run = directory.path().join("memhog");
    let arguments =
        ["memhog", "--rungs", "ring-sync", "--blocks", "1", "--memory", "512M", "--capacity", "4"];
    let shown = quickly(&run, &arguments).expect("it has run before");
    assert!(shown.contains("ok every round returns at least 95.0 %"), "{shown}");
    assert!(run.join("curve.svg").exists() && run.join("curve.csv").exists());
}

#[test]
fn what_is_there_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mine"), "precious").unwrap();
    let path = directory.path().to_str().unwrap();
    for command in ["compare", "run", "lab", "engine", "walk"] {
        assert!(expect(1, &[command, "--out", path]).contains("not empty"));
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_that_is_no_run_is_said_to_be_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    assert!(expect(1, &["report", path]).contains("no run directory"));
    assert!(expect(1, &["report", "/no/such/run"]).contains("no run directory"));
    fs::write(directory.path().join("environment.json"), "{}").unwrap();
    assert!(expect(1, &["report", path]).contains("schema_version"));
    fs::write(directory.path().join("environment.json"), "{\"schema_version\": 99}").unwrap();
    assert!(expect(1, &["report", path]).contains("version 99"));
}

#[test]
fn help_of_the_lab_has_no_flag_that_does_not_work_there() {
    let help = expect(0, &["lab", "--help"]);
    assert!(!help.contains("--dry-run") && !help.contains("--no-report") && help.contains("--against"));
}

#[test]
fn a_path_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let place = tempfile::tempdir().unwrap();
    let odd = place.path().join(std::ffi::OsStr::from_bytes(b"x\xff"));
    let arguments = [b"run".as_slice(), b"--quick", b"--out", odd.as_os_str().as_bytes()];
    let arguments = arguments.map(std::ffi::OsStr::from_bytes);
    let output = Command::cargo_bin("pagehint").unwrap().args(arguments).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 77)), "{output:?}");
}

/// A run of which something does not hold, and which cannot be written: it is read all the same.
#[test]
fn a_report_that_cannot_be_written_is_printed_first_and_nobody_listening_is_no_success() {
    let place = tempfile::tempdir().unwrap();
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/reference/lab-check");
    for name in ["environment.json", "plan.toml", "trials.jsonl", "histograms.hlog"] {
        fs::copy(reference.join(name), place.path().join(name)).unwrap();
    }
    let path = place.path().to_str().unwrap();
    let fine = expect(0, &["report", path]);
    assert!(fine.contains("ok every trial is one of the plan's"), "{fine}");
    assert!(
        fine.contains("report.md, report.html, decision.md, summary.json, percentiles.csv, histograms.hlog"),
        "{fine}"
    );
    fs::remove_file(place.path().join("report.md")).unwrap();
    fs::create_dir(place.path().join("report.md")).unwrap();
    let output = pagehint(&["report", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("Checks") && text(&output.stderr).contains("cannot be written"));
    fs::remove_dir(place.path().join("report.md")).unwrap();

    let trials = fs::read_to_string(place.path().join("trials.jsonl")).unwrap();
    let other = trials.replacen("\"seed\":", "\"seed\":1", 1);
    fs::write(place.path().join("trials.jsonl"), other).unwrap();
    let output = pagehint(&["report", path]);
    assert!(text(&output.stdout).contains("trial 0 is another than the plan's"), "{output:?}");
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("pagehint"))
        .args(["report", path])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1), "what was found, whoever hears it");
    fs::remove_file(place.path().join("plan.toml")).unwrap();
    assert!(expect(1, &["report", path]).contains("put the file back"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("pagehint"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

/// Every part of a report that `doctor` measures by itself, with a guest in each mode; and its file is a host to the model.
#[test]
fn what_doctor_finds_is_a_host() {
    let output = pagehint(&["doctor", "--json"]);
    if output.status.code() == Some(77) {
        println!("skipped: {}", text(&output.stderr));
        return;
    }
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let kvm = &found["environment"]["kvm"];
    let floors = kvm["floors"].as_array().unwrap();
    // What a floor came to, and how much it may be: the part of a call that is a page's may be lost in the noise of a busy host.
    let floor = |name: &str, ring: &str| {
        let mut all = floors.iter().filter(|floor| floor["floor"] == name && floor["guest_ring"] == ring);
        let one = all.next().unwrap_or_else(|| panic!("{name} from ring {ring}: {floors:?}"));
        assert!(one["cost"].is_number() != one["reason"].is_string(), "{one}");
        (one["cost"].as_f64(), one["ends"][1].as_f64())
    };
    for ring in ["0", "3"] {
        for name in ["wake-up", "interrupt", "sleep", "discard-huge", "refault-huge"] {
            floor(name, ring);
        }
        let [call, page, refault] = ["madvise", "discard-page", "refault-page"].map(|name| floor(name, ring));
        // Wherever guests run at all, pages can be taken and brought back; a page alone is less than the call.
        assert!(
            call.0 > page.0 && page.0.is_some() && refault.1 > Some(0.0),
            "{call:?}, {page:?}, {refault:?}"
        );
    }
    assert!(floor("wake-up", "3").1 > Some(0.0));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("here.json");
    fs::write(&path, &output.stdout).unwrap();
    let path = path.to_str().unwrap();
    assert!(expect(0, &["profile", path]).contains("[terms.wake-up]"));
    let said = expect(0, &["whatif", "--profile", path, "--orders", "0"]);
    assert!(
        said.contains("MODEL: 32 ranges, 4 KiB, discarded: ") && !said.contains("nothing can be said"),
        "{said}"
    );
    assert!(expect(2, &["profile", path, "--predict", "elsewhere"]).contains("--predict asks for a run"));
}
