//! What the agent is told: `NAME=VALUE` words.

use std::collections::BTreeMap;
use std::str::FromStr;

/// The words of the command line.
pub(crate) struct Words(BTreeMap<String, String>);

impl Words {
    /// Of what comes behind `--`. Anything that is no such word is an error: what is not understood is not ignored.
    pub(crate) fn of(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let pair = |word: String| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("the word {word:?} has no value")),
        };
        words.map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// The value of a name, as it stands; empty if it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The value of a name.
    pub(crate) fn value<T: FromStr>(&self, name: &str) -> Result<T, String> {
        self.text(name).parse().map_err(|_| format!("{name}={:?} is no value", self.text(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_said() {
        let words = |text: &str| Words::of(text.split(' ').map(str::to_owned));
        let some = words("task=memhog mib=64").unwrap();
        assert_eq!((some.text("task"), some.value("mib")), ("memhog", Ok(64_u64)));
        assert!(some.value::<u64>("seed").unwrap_err().contains("seed"));
        assert!(words("mib=6x").unwrap().value::<u64>("mib").is_err());
        assert!(words("mib").err().unwrap().contains("no value"));
    }
}
