//! The questions that both stores ask in SQL, and how their rows are read: written once, for two
//! dialects. The tables are the same in both.
//!
//! Tables go by the same short names everywhere: `f` a fact, `e` an event, `n` its node, `s` what
//! changes of the node, `o` whose its cgroup is. A statement's text is made of constants: what
//! somebody asks for is always a value.

mod conditions;
mod cost;
mod events;
mod expression;
mod facts;
mod row;
mod selection;
pub(super) mod standings;
mod values;

use std::error::Error;

pub(super) use conditions::{Conditions, Dialect, Statement, Value};
pub(super) use cost::{WORKLOAD as COST_WORKLOAD, list as list_cost, read as read_cost, workload};
pub(super) use events::{CHANGE_COLUMNS as EVENT_CHANGE_COLUMNS, TABLES as EVENT_TABLES};
pub(super) use events::{
    count_within, list as list_events, read as read_event, read_change as read_event_change,
};
pub(super) use facts::{CHANGE_COLUMNS as FACT_CHANGE_COLUMNS, TABLES as FACT_TABLES};
pub(super) use facts::{list as list_facts, read as read_fact, read_change as read_fact_change};
pub(super) use row::Row;
pub(super) use values::{from_count, from_random, from_time, to_count, to_random, to_time};

/// What a statement may fail with: the database's errors and those of values that do not read.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// Of a schema that a newer program made, and that works with this one.
pub(super) const TAKEN_AS_IT_IS: &str = "a newer version brought the store further, in a way that works with this one: it is left as it is";

/// A day, in nanoseconds.
pub(super) const DAY: i64 = 24 * 3600 * 1_000_000_000;
