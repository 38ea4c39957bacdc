//! What agent and collector tell Prometheus: a page of numbers, its bounds, and the port that serves it.
//!
//! | module | what |
//! |---|---|
//! | [`metric`] | what one metric is, and what is said of it |
//! | [`sheet`] | the numbers of one page, and how they are written |
//! | [`workloads`] | numbers by workload, in no more series than there may be |
//! | [`mod@serve`] | a port of its own: `/metrics`, `/healthz`, `/readyz` |
//! | `read` | a page read again, for tests (feature `read`) |
//!
//! A page is made when somebody asks for it and not before: who has no Prometheus pays nothing. Names begin
//! with `archtrace_`, units are base units, and no label ever holds a pid, a UID or a digest. What must not
//! happen here: knowing where numbers come from.
#![forbid(unsafe_code)]

pub mod metric;
#[cfg(feature = "read")]
pub mod read;
pub mod serve;
pub mod sheet;
pub mod workloads;

pub use metric::{Kind, Metric, Unit};
pub use serve::{Page, serve};
pub use sheet::{Sheet, Value};
pub use workloads::{Names, Row, Workloads};
