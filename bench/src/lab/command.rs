//! Commands of this machine, and why they failed.

use std::process::{Command, ExitStatus};

use super::error::LabError;

/// Runs a command to its end; what it printed on standard output.
///
/// # Errors
/// [`LabError::Command`] with what it said.
pub fn output(command: &mut Command) -> Result<Vec<u8>, LabError> {
    let output = command
        .output()
        .map_err(|error| LabError::Command { command: describe(command), said: error.to_string() })?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(failure(command, output.status, &String::from_utf8_lossy(&output.stderr)))
    }
}

/// Runs a command to its end; all it printed on both its outputs, however it ended.
///
/// # Errors
/// [`LabError::Command`] if it does not start.
pub fn printed(command: &mut Command) -> Result<String, LabError> {
    let output = command
        .output()
        .map_err(|error| LabError::Command { command: describe(command), said: error.to_string() })?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// A command as it would be typed.
pub(super) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Why a command failed: in its own words, if it had any.
pub(super) fn failure(command: &Command, status: ExitStatus, said: &str) -> LabError {
    let said = if said.trim().is_empty() { status.to_string() } else { said.trim().to_owned() };
    LabError::Command { command: describe(command), said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_says_why() {
        let error = output(Command::new("ls").arg("/no/such/directory")).unwrap_err().to_string();
        assert!(error.contains("ls /no/such/directory") && error.contains("No such file"), "{error}");
        let error = output(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }
}
