//! What emulation costs: CPU time by hour and day, whose it was, and what it was worth.
//!
//! Agents tell of CPU time as sums that only grow. A store notes what each update adds, by the hour it
//! was used in ([`spread`]); after two days hours become days ([`Hour::folded_before`]). A question is
//! answered for whole hours, and for whole days (UTC) where only these are left ([`Span`]).
//!
//! | module | what |
//! |---|---|
//! | `hours` | which hours CPU time belongs to |
//! | `answer` | sums, split by what kind of machine they were used on |
//! | `prices` | what they were worth |

mod answer;
mod hours;
mod prices;

pub use answer::{Cost, CostDimension, CostPart, CostRow, Pricing, Share, SharePrice};
pub use hours::{Hour, Span, spread};
pub use prices::{Bill, Money, Price, PriceError, PriceTable, Slowdown, is_currency};
