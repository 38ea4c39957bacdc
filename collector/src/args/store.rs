//! Which store, and how it is never printed with its secret.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use clap::builder::{StyledStr, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use crate::store::postgres::PostgresUrl;

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// One file.
    Sqlite(PathBuf),
    /// A database.
    Postgres(PostgresUrl),
}

impl StoreUrl {
    fn of(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return (!path.is_empty()).then(|| Self::Sqlite(path.into()));
        }
        PostgresUrl::of(text).map(Self::Postgres)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// Reads a store. What does not read is not repeated, as it would be otherwise: a password may be in it.
#[derive(Clone, Debug)]
pub(super) struct StoreParser;

impl TypedValueParser for StoreParser {
    type Value = StoreUrl;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<StoreUrl, clap::Error> {
        value.to_str().and_then(StoreUrl::of).ok_or_else(|| {
            let mut error = clap::Error::new(ErrorKind::ValueValidation).with_cmd(command);
            let arg = arg.map(ToString::to_string).unwrap_or_default();
            error.insert(ContextKind::InvalidArg, ContextValue::String(arg));
            error.insert(
                ContextKind::InvalidValue,
                ContextValue::String("(not shown)".to_owned()),
            );
            let hint = "a store is sqlite:PATH, such as sqlite:/var/lib/archtrace/archtrace.db, or \
                        postgres://USER@HOST:PORT/DATABASE";
            error.insert(
                ContextKind::Suggested,
                ContextValue::StyledStrs(vec![StyledStr::from(hint)]),
            );
            error
        })
    }
}
