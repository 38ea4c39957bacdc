//! What one metric is.

/// What may be done with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only ever goes up, and starts again from 0 with the process: what is asked of it is its rate.
    Counter,
    /// How many took how long.
    Histogram,
}

/// What is counted, where that is no number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of time.
    Seconds,
    /// Of memory.
    Bytes,
}

/// A metric, as a page tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, without `archtrace_`, unit and `_total`.
    pub name: &'static str,
    /// One sentence: what it is, and what it is not.
    pub help: &'static str,
    /// What may be done with it.
    pub kind: Kind,
    /// What is counted, if that is no number of things.
    pub unit: Option<Unit>,
}

impl Metric {
    /// A number of things that goes up and down.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, Kind::Gauge)
    }

    /// A number of things that only goes up.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, Kind::Counter)
    }

    /// How long things took.
    #[must_use]
    pub const fn durations(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, Kind::Histogram).seconds()
    }

    const fn new(name: &'static str, help: &'static str, kind: Kind) -> Self {
        Self {
            name,
            help,
            kind,
            unit: None,
        }
    }

    /// The same, in seconds.
    #[must_use]
    pub const fn seconds(self) -> Self {
        Self {
            unit: Some(Unit::Seconds),
            ..self
        }
    }

    /// The same, in bytes.
    #[must_use]
    pub const fn bytes(self) -> Self {
        Self {
            unit: Some(Unit::Bytes),
            ..self
        }
    }
}
