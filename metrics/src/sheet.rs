//! The numbers of one page.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{self, Registry};

use crate::metric::{Kind, Metric, Unit};

/// What all names begin with.
const PREFIX: &str = "archtrace";

/// Names of one series within its metric.
pub type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// What one series shows.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number of things.
    Whole(u64),
    /// A number of units.
    Part(f64),
    /// How many took how long.
    Spread(Histogram),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Value {
    fn from(is_so: bool) -> Self {
        Self::Whole(u64::from(is_so))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Part(number)
    }
}

impl From<&Histogram> for Value {
    fn from(histogram: &Histogram) -> Self {
        Self::Spread(histogram.clone())
    }
}

/// Numbers, in the order in which they are shown.
#[derive(Debug, Default)]
pub struct Sheet {
    families: Vec<(&'static Metric, Vec<(Labels, Value)>)>,
}

impl Sheet {
    /// Adds a metric of one series.
    pub fn one(&mut self, metric: &'static Metric, value: impl Into<Value>) {
        self.many(metric, [(Vec::new(), value)]);
    }

    /// Adds a metric of which the series differ by one label.
    pub fn by<W: Into<Cow<'static, str>>, V: Into<Value>>(
        &mut self,
        metric: &'static Metric,
        label: &'static str,
        series: impl IntoIterator<Item = (W, V)>,
    ) {
        let series = series.into_iter();
        let named = series.map(|(word, value)| (vec![(label, word.into())], value));
        self.many(metric, named);
    }

    /// Adds a metric. One without series is shown by its name and its help, so that whoever looks finds out
    /// that it is there.
    pub fn many<V: Into<Value>>(
        &mut self,
        metric: &'static Metric,
        series: impl IntoIterator<Item = (Labels, V)>,
    ) {
        let series = series.into_iter();
        let series = series.map(|(labels, value)| (labels, value.into()));
        self.families.push((metric, series.collect()));
    }

    /// The page, as OpenMetrics wants it.
    #[must_use]
    pub fn into_text(self) -> String {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl Collector for Sheet {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (metric, series) in &self.families {
            let Metric {
                name,
                help,
                kind,
                unit,
            } = metric;
            let unit = unit.map(Unit::as_text);
            let mut family =
                encoder.encode_descriptor(name, help, unit.as_ref(), kind.metric_type())?;
            for (labels, value) in series {
                write(*kind, value, family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

impl Unit {
    fn as_text(self) -> registry::Unit {
        match self {
            Self::Seconds => registry::Unit::Seconds,
            Self::Bytes => registry::Unit::Bytes,
        }
    }
}

impl Kind {
    fn metric_type(self) -> MetricType {
        match self {
            Self::Gauge => MetricType::Gauge,
            Self::Counter => MetricType::Counter,
            Self::Histogram => MetricType::Histogram,
        }
    }
}

fn write(kind: Kind, value: &Value, encoder: MetricEncoder<'_>) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Whole(number)) => ConstCounter::new(*number).encode(encoder),
        (Kind::Counter, Value::Part(number)) => ConstCounter::new(*number).encode(encoder),
        (_, Value::Whole(number)) => ConstGauge::new(*number).encode(encoder),
        (_, Value::Part(number)) => ConstGauge::new(*number).encode(encoder),
        (_, Value::Spread(histogram)) => histogram.encode(encoder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THINGS: Metric = Metric::gauge("things", "Things that are there.");
    const SIZE: Metric = Metric::gauge("size", "How large they are.").bytes();
    const WORK: Metric = Metric::counter("work", "Time spent on them.").seconds();
    const LOOKS: Metric = Metric::durations("look", "How long looks took.");
    const NONE: Metric = Metric::counter("none", "Of this there is nothing.");

    #[test]
    fn a_page_is_open_metrics() {
        let looks = Histogram::new([0.1, 1.0]);
        looks.observe(0.5);
        let mut sheet = Sheet::default();
        sheet.by(&THINGS, "name", [("a\"b\\c\nd", 3_u64), ("plain", 4)]);
        sheet.one(&SIZE, 10_usize);
        sheet.one(&WORK, 1.5);
        sheet.one(&LOOKS, &looks);
        sheet.by(&NONE, "name", [("", 0_u64); 0]);
        let expected = r#"# HELP archtrace_things Things that are there.
# TYPE archtrace_things gauge
archtrace_things{name="a\"b\\c\nd"} 3
archtrace_things{name="plain"} 4
# HELP archtrace_size_bytes How large they are.
# TYPE archtrace_size_bytes gauge
# UNIT archtrace_size_bytes bytes
archtrace_size_bytes{} 10
# HELP archtrace_work_seconds Time spent on them.
# TYPE archtrace_work_seconds counter
# UNIT archtrace_work_seconds seconds
archtrace_work_seconds_total{} 1.5
# HELP archtrace_look_seconds How long looks took.
# TYPE archtrace_look_seconds histogram
# UNIT archtrace_look_seconds seconds
archtrace_look_seconds_sum{} 0.5
archtrace_look_seconds_count{} 1
archtrace_look_seconds_bucket{le="0.1"} 0
archtrace_look_seconds_bucket{le="1.0"} 1
archtrace_look_seconds_bucket{le="+Inf"} 1
# HELP archtrace_none Of this there is nothing.
# TYPE archtrace_none counter
# EOF
"#;
        assert_eq!(sheet.into_text(), expected);
    }
}
