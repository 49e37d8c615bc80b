//! How the axes of an experiment get in and out: plans, result files, schemas and the command line.
//!
//! The enums themselves stand in `abi` and `host`, which know neither serde nor clap. [`Named`] wraps any of
//! them and speaks for it by [`Axis::name`], so that there is one list of names in the project.

use std::borrow::Cow;
use std::fmt;

use abi::axes::Axis;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParserFactory};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A value of an axis that is written and read by its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Named<A>(pub A);

impl<A: Axis> fmt::Display for Named<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.name())
    }
}

/// The names of an axis, in its own order.
pub fn names<A: Axis>() -> impl Iterator<Item = &'static str> {
    A::ALL.iter().map(|value| value.name())
}

impl<A: Axis> Serialize for Named<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de, A: Axis> Deserialize<'de> for Named<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByName<A>(std::marker::PhantomData<A>);

        impl<A: Axis> Visitor<'_> for ByName<A> {
            type Value = Named<A>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a {}: one of ", A::AXIS)?;
                for (index, name) in names::<A>().enumerate() {
                    write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                A::from_name(name)
                    .map(Named)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(name), &self))
            }
        }

        deserializer.deserialize_str(ByName(std::marker::PhantomData))
    }
}

impl<A: Axis> JsonSchema for Named<A> {
    fn schema_name() -> Cow<'static, str> {
        A::AXIS.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": names::<A>().collect::<Vec<_>>() })
    }
}

impl<A: Axis + Send + Sync> ValueParserFactory for Named<A> {
    type Parser = NamedParser<A>;

    fn value_parser() -> Self::Parser {
        NamedParser(std::marker::PhantomData)
    }
}

/// Reads a [`Named`] from the command line and lists what it could have been.
#[derive(Clone, Debug)]
pub struct NamedParser<A>(std::marker::PhantomData<A>);

impl<A: Axis + Send + Sync> TypedValueParser for NamedParser<A> {
    type Value = Named<A>;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let name = PossibleValuesParser::new(names::<A>()).parse_ref(command, arg, value)?;
        A::from_name(&name).map(Named).ok_or_else(|| clap::Error::new(clap::error::ErrorKind::InvalidValue))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(names::<A>().map(PossibleValue::new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::axes::{Carrier, Coalesce, Doorbell};

    #[test]
    fn every_value_survives_json() {
        for value in Doorbell::ALL {
            let text = serde_json::to_string(&Named(*value)).unwrap();
            assert_eq!(serde_json::from_str::<Named<Doorbell>>(&text).unwrap(), Named(*value));
        }
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let error = serde_json::from_str::<Named<Carrier>>("\"pigeon\"").unwrap_err().to_string();
        assert!(error.contains("pigeon") && error.contains("empty, registers, batch, ring"), "{error}");
    }

    #[test]
    fn the_schema_lists_the_names() {
        let schema = serde_json::to_value(schemars::schema_for!(Named<Coalesce>)).unwrap();
        assert_eq!(schema["enum"], serde_json::json!(["each", "sorted", "merged", "across"]));
    }
}
