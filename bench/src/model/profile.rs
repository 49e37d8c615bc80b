//! A host as its terms, and the file that says so: `docs/model.md` describes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use abi::axes::Axis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scale::Scale;
use super::term::Term;
use crate::axes::named::Named;

/// A host as its terms.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// Which host.
    pub host: String,
    /// Who measured it, how, and where it can be read.
    pub source: String,
    /// What its figures are in.
    pub unit: Scale,
    /// The processor's frequency, where figures are cycles and it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frequency_mhz: Option<f64>,
    /// Of a profile that was fitted: by what share 95 % of the cells that a fit had not seen were off.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<f64>,
    /// What else has to be known to read it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    /// Its terms; one that is missing is unknown.
    pub terms: BTreeMap<Named<Term>, Entry>,
}

/// What is known of a term.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a term is \"unknown\", { value = 1.0 } or { low = 1.0, high = 2.0 } or all three, or { in = { other-term = 1.0 } }"
)]
pub enum Entry {
    /// Nothing.
    Unknown(Unknown),
    /// It could not be told apart from others, and is in their figures: so much of each for each of it.
    In(Inside),
    /// A figure.
    Figure(Known),
}

/// The word for what nobody measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// Nobody measured it.
    Unknown,
}

/// The terms that another is in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inside {
    /// Which, and how many of them occur where this one occurs once.
    #[serde(rename = "in")]
    pub terms: BTreeMap<Named<Term>, f64>,
}

/// A figure as it is written.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The figure; the middle of its ends if it is left out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<f64>,
    /// Its lower end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub low: Option<f64>,
    /// Its upper end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub high: Option<f64>,
}

/// A figure with its ends.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Figure {
    /// One whose ends nobody stated.
    #[must_use]
    pub const fn exactly(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    fn times(self, by: f64) -> Self {
        Self { value: self.value * by, low: self.low * by, high: self.high * by }
    }
}

impl From<Figure> for Entry {
    fn from(figure: Figure) -> Self {
        let Figure { value, low, high } = figure;
        Self::Figure(Known { value: Some(value), low: Some(low), high: Some(high) })
    }
}

impl Known {
    /// With everything it leaves out; `None` if it says nothing, or no number, or its ends are the wrong way round.
    fn figure(self) -> Option<Figure> {
        let value = match (self.value, self.low, self.high) {
            (Some(value), ..) => value,
            (None, Some(low), Some(high)) => f64::midpoint(low, high),
            _ => return None,
        };
        let figure = Figure { value, low: self.low.unwrap_or(value), high: self.high.unwrap_or(value) };
        let is_sound = figure.low.is_finite() && figure.high.is_finite();
        (is_sound && figure.low <= value && value <= figure.high).then_some(figure)
    }
}

/// Why there is no profile. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Neither a file nor a built-in one.
    #[error("{name} is neither a profile that is built in nor a file: the built-in ones are {known}")]
    NoSuch {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// The file cannot be read.
    #[error("the profile {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no profile.
    #[error("{origin} is no profile: {}; see `pagehint schema profile`", source.to_string().trim_end())]
    Syntax {
        /// Where the text came from.
        origin: String,
        /// Line and reason.
        source: Box<toml::de::Error>,
    },
    /// A figure that means nothing.
    #[error("line {line} of {origin}: {what}")]
    Senseless {
        /// Where the text came from.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong, and what to write.
        what: String,
    },
    /// Figures that are not in the same unit.
    #[error("{what} is in {found}, the profile {name} in {expected}: {change}")]
    Unit {
        /// What does not go with it.
        what: String,
        /// Its unit.
        found: &'static str,
        /// The profile.
        name: String,
        /// That one's unit.
        expected: &'static str,
        /// What to change.
        change: &'static str,
    },
    /// A term that is set while others are in its figure.
    #[error(
        "{term} cannot be set in {name} alone: {others} cannot be told apart from it there; set all of them"
    )]
    Merged {
        /// The term.
        term: Named<Term>,
        /// The profile.
        name: String,
        /// The others.
        others: String,
    },
}

impl Profile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ProfileError`] with file and line.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ProfileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a text that came from `origin`.
    ///
    /// # Errors
    /// [`ProfileError::Syntax`], [`ProfileError::Senseless`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text)
            .map_err(|source| ProfileError::Syntax { origin: origin.to_owned(), source: Box::new(source) })?;
        match profile.senseless() {
            None => Ok(profile),
            Some((key, what)) => {
                let line = text.lines().position(|line| line.trim_start().starts_with(key));
                let line = line.unwrap_or_default() + 1;
                Err(ProfileError::Senseless { origin: origin.to_owned(), line, what })
            }
        }
    }

    /// The first key whose value means nothing, and why.
    fn senseless(&self) -> Option<(&'static str, String)> {
        let is_positive = |number: &f64| number.is_finite() && *number > 0.0;
        if self.frequency_mhz.is_some_and(|mhz| !is_positive(&mhz)) {
            return Some(("frequency-mhz", "frequency-mhz is a number above 0".to_owned()));
        }
        if self.error.is_some_and(|error| !is_positive(&error)) {
            return Some(("error", "error is a share above 0, such as 0.12".to_owned()));
        }
        let wrong = |(term, entry): (&Named<Term>, &Entry)| match entry {
            Entry::Figure(known) if known.figure().is_none() => Some((
                term.0.name(),
                format!(
                    "{term} has no value, or one that is not between its low and high: write {{ low = 1.0, value = 1.5, high = 2.0 }}"
                ),
            )),
            Entry::In(inside)
                if inside.terms.is_empty()
                    || inside.terms.keys().any(|holder| self.figure(holder.0).is_none()) =>
            {
                Some((
                    term.0.name(),
                    format!("{term} is in terms that have no figure: give them one, or write \"unknown\""),
                ))
            }
            _ => None,
        };
        self.terms.iter().find_map(wrong)
    }

    /// A term's figure, if it has one of its own.
    #[must_use]
    pub fn figure(&self, term: Term) -> Option<Figure> {
        match self.terms.get(&Named(term))? {
            Entry::Figure(known) => known.figure(),
            Entry::In(_) | Entry::Unknown(_) => None,
        }
    }

    /// The terms that another is in, if it could not be told apart.
    #[must_use]
    pub fn inside(&self, term: Term) -> Option<&BTreeMap<Named<Term>, f64>> {
        match self.terms.get(&Named(term))? {
            Entry::In(inside) => Some(&inside.terms),
            Entry::Figure(_) | Entry::Unknown(_) => None,
        }
    }

    /// A term with all that cannot be told apart from it.
    pub(super) fn group(&self, term: Term) -> Vec<Term> {
        let holders: Vec<Term> = match self.inside(term) {
            Some(inside) => inside.keys().map(|holder| holder.0).collect(),
            None => vec![term],
        };
        let is_in = |other: &Term| {
            self.inside(*other)
                .is_some_and(|inside| holders.iter().any(|holder| inside.contains_key(&Named(*holder))))
        };
        let mut group: Vec<Term> =
            holders.iter().copied().chain(Term::ALL.iter().copied().filter(is_in)).collect();
        group.sort_unstable();
        group.dedup();
        group
    }

    /// The same by a name.
    #[must_use]
    pub fn called(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Whether a term is known by itself.
    #[must_use]
    pub fn is_apart(&self, term: Term) -> bool {
        self.figure(term).is_some() && self.group(term).len() == 1
    }

    /// The same with every figure as if it were exact.
    #[must_use]
    pub fn without_ends(mut self) -> Self {
        for term in Term::ALL {
            if let Some(figure) = self.figure(*term) {
                self.terms.insert(Named(*term), Figure::exactly(figure.value).into());
            }
        }
        Self { error: None, ..self }
    }

    /// The same with some terms set by hand.
    ///
    /// # Errors
    /// [`ProfileError::Unit`], and [`ProfileError::Merged`] if one is set of several that cannot be told apart.
    pub fn with(mut self, set: &BTreeMap<Term, Figure>) -> Result<Self, ProfileError> {
        for term in set.keys() {
            let others: Vec<&str> = self
                .group(*term)
                .into_iter()
                .filter(|other| !set.contains_key(other))
                .map(Axis::name)
                .collect();
            let is_alone = self.group(*term).len() <= 1;
            if !others.is_empty() && !is_alone {
                let (name, others) = (self.name.clone(), others.join(", "));
                return Err(ProfileError::Merged { term: Named(*term), name, others });
            }
        }
        for (term, figure) in set {
            self.terms.insert(Named(*term), (*figure).into());
        }
        Ok(self)
    }

    /// The same in nanoseconds, if its figures are cycles of a known frequency.
    #[must_use]
    pub fn in_time(mut self) -> Self {
        let Some(mhz) = self.frequency_mhz.filter(|_| self.unit == Scale::Cycles) else { return self };
        for term in Term::ALL {
            if let Some(figure) = self.figure(*term) {
                self.terms.insert(Named(*term), figure.times(1e3 / mhz).into());
            }
        }
        self.notes.push(format!("cycles were made nanoseconds at {mhz} MHz"));
        Self { unit: Scale::Ns, ..self }
    }

    /// The same with what is unknown taken from another host; what cannot be told apart there is taken together or not
    /// at all.
    ///
    /// # Errors
    /// [`ProfileError::Unit`].
    pub fn filled_from(mut self, other: &Self) -> Result<Self, ProfileError> {
        if self.unit != other.unit {
            return Err(ProfileError::Unit {
                what: other.name.clone(),
                found: other.unit.name(),
                name: self.name,
                expected: self.unit.name(),
                change: "fill it from one in the same unit; cycles become time by frequency-mhz",
            });
        }
        let is_known = |term: &Term| self.figure(*term).is_some() || self.inside(*term).is_some();
        let free = |term: &&Term| !other.group(**term).iter().any(is_known);
        let taken: Vec<Named<Term>> = Term::ALL
            .iter()
            .filter(free)
            .map(|term| Named(*term))
            .filter(|term| !matches!(other.terms.get(term), None | Some(Entry::Unknown(_))))
            .collect();
        for term in &taken {
            self.terms.insert(*term, other.terms[term].clone());
        }
        let names: Vec<String> = taken.iter().map(ToString::to_string).collect();
        if !names.is_empty() {
            self.notes.push(format!("not of this host but of {}: {}", other.name, names.join(", ")));
        }
        let error = [self.error, other.error].into_iter().flatten().reduce(f64::max);
        Ok(Self { error, ..self })
    }

    /// As a file: every term is named, those that nobody measured too.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut whole = self.clone();
        for term in Term::ALL {
            whole.terms.entry(Named(*term)).or_insert(Entry::Unknown(Unknown::Unknown));
        }
        // Numbers, strings and tables of them: there is nothing in a profile that TOML cannot hold.
        toml::to_string(&whole).unwrap_or_else(|error| format!("# {error}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"a\"\nhost = \"b\"\nsource = \"c\"\nunit = \"ns\"\n[terms]\n";

    fn of(terms: &str) -> Result<Profile, ProfileError> {
        Profile::parse(&format!("{TEXT}{terms}"), "here.toml")
    }

    #[test]
    fn what_is_written_can_be_read_and_names_every_term() {
        let profile =
            of("exit = { low = 1.0, high = 3.0 }\nkick = \"unknown\"\nnotify = { in = { exit = 2.0 } }")
                .unwrap();
        assert_eq!(profile.figure(Term::Exit), Some(Figure { value: 2.0, low: 1.0, high: 3.0 }));
        assert_eq!(profile.figure(Term::Kick), None);
        let text = profile.to_toml();
        let again = Profile::parse(&text, "again").unwrap();
        assert_eq!(again.terms.len(), Term::ALL.len());
        assert_eq!(again.inside(Term::Notify), profile.inside(Term::Notify));
        assert_eq!(again.to_toml(), text);
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_line() {
        for (terms, line, say) in [
            ("exit = { value = nan }", 6, "exit has no value"),
            ("kick = { value = 1.0 }\nexit = { low = 3.0, high = 1.0 }", 7, "exit has no value"),
            ("exit = {}", 6, "exit has no value"),
            ("exit = { in = { kick = 1.0 } }", 6, "no figure"),
        ] {
            let error = of(terms).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("line {line} of here.toml: ")) && error.contains(say),
                "{error}"
            );
        }
        for terms in ["exit = 12", "exits = \"unknown\"", "exit = { value = 1.0, hihg = 2.0 }"] {
            let error = of(terms).unwrap_err().to_string();
            assert!(error.contains("here.toml") && error.contains("line 6"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_set_and_filled_together() {
        let merged =
            of("kick = { value = 5.0 }\nwake-up = { in = { kick = 1.0 } }\nexit = { value = 7.0 }").unwrap();
        let set = |terms: &[Term]| terms.iter().map(|term| (*term, Figure::exactly(2.0))).collect();
        let error = merged.clone().with(&set(&[Term::Kick])).unwrap_err().to_string();
        assert!(error.contains("wake-up"), "{error}");
        let both = merged.clone().with(&set(&[Term::Kick, Term::WakeUp])).unwrap();
        assert_eq!(both.figure(Term::WakeUp), Some(Figure::exactly(2.0)));
        let knows_kick = of("kick = { value = 1.0 }").unwrap().filled_from(&merged).unwrap();
        assert_eq!(knows_kick.inside(Term::WakeUp), None, "it would be counted twice");
        assert_eq!(knows_kick.figure(Term::Exit), Some(Figure::exactly(7.0)));
        let knows_nothing = of("").unwrap().filled_from(&merged).unwrap();
        assert!(knows_nothing.inside(Term::WakeUp).is_some() && knows_nothing.notes[0].contains("of a"));
    }

    #[test]
    fn cycles_become_time_only_by_a_frequency() {
        let cycles = |more: &str| {
            let text =
                TEXT.replace("\"ns\"", "\"cycles\"").replace("[terms]", more) + "exit = { value = 3000.0 }";
            Profile::parse(&text, "here").unwrap().in_time()
        };
        assert_eq!(cycles("[terms]").unit, Scale::Cycles);
        let timed = cycles("frequency-mhz = 2000.0\n[terms]");
        assert_eq!((timed.unit, timed.figure(Term::Exit)), (Scale::Ns, Some(Figure::exactly(1500.0))));
        assert!(cycles("[terms]").filled_from(&of("").unwrap()).is_err());
    }
}
