//! What is to be done inside the machine: a file in its initramfs.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use super::places::{PAGEHINT, PLAN, PROGRAM, RUN};

/// What the first process is to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Errand {
    /// Kernel modules to load, in this order; files of [`super::places::MODULES`].
    pub modules: Vec<String>,
    /// A program and its arguments.
    pub command: Vec<OsString>,
    /// What the program's environment holds beside the path.
    pub environment: BTreeMap<String, String>,
    /// Text files the program is to find, by path.
    pub files: BTreeMap<String, String>,
    /// Whether what the program prints on standard output goes to the console. Standard error always does.
    pub shows_output: bool,
}

impl Errand {
    /// To run the plan of an experiment, called by its command, and bring the run directory back; its report is made outside, where that costs nothing.
    #[must_use]
    pub fn plan(modules: Vec<String>, experiment: &str, plan: String) -> Self {
        let command = [PAGEHINT, experiment, "--plan", PLAN, "--out", RUN, "--no-report"];
        Self {
            modules,
            command: command.map(OsString::from).to_vec(),
            environment: BTreeMap::new(),
            files: BTreeMap::from([(PLAN.to_owned(), plan)]),
            shows_output: false,
        }
    }

    /// The same, said with these words too.
    #[must_use]
    pub fn with(mut self, words: &[&str]) -> Self {
        self.command.extend(words.iter().map(OsString::from));
        self
    }

    /// To run a program that was taken along, with what our environment says to us and to tests.
    #[must_use]
    pub fn program(modules: Vec<String>, arguments: &[OsString]) -> Self {
        let ours = |name: &str| name.starts_with("PAGEHINT_") || name.starts_with("RUST_");
        Self {
            modules,
            command: std::iter::once(PROGRAM.into()).chain(arguments.iter().cloned()).collect(),
            environment: texts(std::env::vars_os()).filter(|(name, _)| ours(name)).collect(),
            files: BTreeMap::new(),
            shows_output: true,
        }
    }
}

/// Those of our variables that are text. Of the others there may be any, and none is for us.
fn texts(variables: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (String, String)> {
    variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn an_argument_need_not_be_text() {
        let odd = OsString::from_vec(vec![b'x', 0xff]);
        let errand = Errand::program(Vec::new(), std::slice::from_ref(&odd));
        let read: Errand = serde_json::from_slice(&serde_json::to_vec(&errand).unwrap()).unwrap();
        assert_eq!(read.command[1], odd);
    }

    #[test]
    fn a_variable_that_is_no_text_stays_here() {
        let [good, bad] = [b"x".to_vec(), vec![0xff]].map(OsString::from_vec);
        let variables = [(good.clone(), good.clone()), (good.clone(), bad.clone()), (bad, good)];
        assert_eq!(texts(variables.into_iter()).collect::<Vec<_>>(), [("x".to_owned(), "x".to_owned())]);
    }
}
