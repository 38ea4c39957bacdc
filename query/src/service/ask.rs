//! What is checked of every question.

use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::report::Record;
use archtrace_facts::select::{Filter, Selection};
use archtrace_proto::v1;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::read::StoreError;

/// Values per condition. Each becomes a parameter of a statement, of which stores take some ten
/// thousands.
const MAX_VALUES: usize = 1000;

/// Filters in one selection, and values in all of them: what people and dashboards ask for has a
/// few, and each is compared with each fact.
const MAX_FILTERS: usize = 64;
const MAX_ALL_VALUES: usize = 4000;

/// The selection, if it is one that can be answered.
pub(super) fn selection(selection: Option<v1::Selection>) -> Result<Selection, Status> {
    let selection = selection.unwrap_or_default();
    let count = selection.allow.len() + selection.deny.len();
    if count > MAX_FILTERS {
        return Err(Status::invalid_argument(format!(
            "selection: {count} filters; at most {MAX_FILTERS} can be asked for at once"
        )));
    }
    let selection = Selection::try_from(selection)
        .map_err(|error| Status::invalid_argument(format!("selection.{error}")))?;
    let mut all = 0;
    for (list, filters) in [("allow", &selection.allow), ("deny", &selection.deny)] {
        for (i, filter) in filters.iter().enumerate() {
            for (field, count) in counts(filter) {
                few(&format!("selection.{list}[{i}].{field}"), count)?;
                all += count;
            }
        }
    }
    if all > MAX_ALL_VALUES {
        return Err(Status::invalid_argument(format!(
            "selection: {all} values; at most {MAX_ALL_VALUES} can be asked for at once"
        )));
    }
    Ok(selection)
}

fn counts(filter: &Filter) -> [(&'static str, usize); 11] {
    let Filter {
        clusters,
        nodes,
        node_archs,
        namespaces,
        pods,
        containers,
        workloads,
        images,
        binaries,
        archs,
        modes,
        since: _,
    } = filter;
    [
        ("clusters", clusters.len()),
        ("nodes", nodes.len()),
        ("node_archs", node_archs.len()),
        ("namespaces", namespaces.len()),
        ("pods", pods.len()),
        ("containers", containers.len()),
        ("workloads", workloads.len()),
        ("images", images.len()),
        ("binaries", binaries.len()),
        ("archs", archs.len()),
        ("modes", modes.len()),
    ]
}

/// The architecture that is asked about: where fleets move to, if none is named.
pub(super) fn arch(word: &str) -> Result<Arch, Status> {
    match word {
        "" => Ok(Arch::Arm64),
        word => word
            .parse()
            .map_err(|error| Status::invalid_argument(format!("arch: {error}"))),
    }
}

/// Refuses a list of too many values.
pub(super) fn few(field: &str, count: usize) -> Result<(), Status> {
    if count > MAX_VALUES {
        return Err(Status::invalid_argument(format!(
            "{field}: {count} values; at most {MAX_VALUES} can be asked for at once"
        )));
    }
    Ok(())
}

/// How many rows to tell at most: `default` if nothing is said, and never more than `most`.
pub(super) fn max_rows(max_rows: i32, default: usize, most: usize) -> Result<usize, Status> {
    match usize::try_from(max_rows) {
        Ok(0) => Ok(default),
        Ok(rows) => Ok(rows.min(most)),
        Err(_) => Err(Status::invalid_argument(format!(
            "max_rows: {max_rows} is negative"
        ))),
    }
}

/// The first of a few values that is there twice.
pub(super) fn twice<T: Copy + PartialEq>(values: &[T]) -> Option<T> {
    let mut rest = values;
    while let [first, behind @ ..] = rest {
        if behind.contains(first) {
            return Some(*first);
        }
        rest = behind;
    }
    None
}

/// The kinds, if they are some.
pub(super) fn kinds(kinds: Vec<String>) -> Result<Vec<String>, Status> {
    few("kinds", kinds.len())?;
    if let Some(kind) = kinds
        .iter()
        .find(|kind| Record::kinds().all(|known| known != **kind))
    {
        let known = Record::kinds().collect::<Vec<_>>().join(", ");
        return Err(Status::invalid_argument(format!(
            "kinds: '{kind}' is no kind of event; the known ones are {known}"
        )));
    }
    Ok(kinds)
}

/// A time, if there is one.
pub(super) fn time(
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Result<Option<SystemTime>, Status> {
    // The same checks as within a selection.
    let filter = v1::Filter {
        since: time,
        ..Default::default()
    };
    let filter = Filter::try_from(filter).map_err(|_| {
        Status::invalid_argument(format!(
            "{field}: is no time between the years 1970 and 2262"
        ))
    })?;
    Ok(filter.since)
}

/// When whoever asks stops to wait, if they said so. The transport ends the answer that they wait for,
/// but knows nothing of one that goes on.
pub(super) fn deadline(metadata: &MetadataMap) -> Result<Option<Instant>, Status> {
    let Some(timeout) = metadata.get("grpc-timeout") else {
        return Ok(None);
    };
    let read = || {
        let text = timeout.to_str().ok()?;
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: u64 = digits.parse().ok()?;
        // https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: at most eight digits.
        let number = (digits.len() <= 8).then_some(number)?;
        Some(match unit {
            "H" => Duration::from_secs(number * 3600),
            "M" => Duration::from_secs(number * 60),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    };
    let timeout = read().ok_or_else(|| {
        Status::invalid_argument(
            "grpc-timeout: is none; at most eight digits and H, M, S, m, u or n",
        )
    })?;
    Ok(Instant::now().checked_add(timeout))
}

/// The store does not answer.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn unavailable(error: StoreError) -> Status {
    tracing::error!(%error, "cannot answer");
    Status::unavailable("the store does not work at the moment; try again later, and see the log")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selection_of: v1::Selection, part: &str) {
        let status = selection(Some(selection_of)).expect_err(part);
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(status.message().contains(part), "{status}");
    }

    #[test]
    fn selections_are_bounded_and_errors_tell_where() {
        let filter = |nodes: usize| v1::Filter {
            nodes: vec![String::new(); nodes],
            ..Default::default()
        };
        let of = |allow, deny| v1::Selection {
            allow,
            deny,
            filter: String::new(),
        };
        check(of(vec![filter(0); 40], vec![filter(0); 40]), "80 filters");
        check(
            of(vec![filter(1), filter(1001)], vec![]),
            "selection.allow[1].nodes: 1001",
        );
        check(
            of(vec![], vec![filter(1001)]),
            "selection.deny[0].nodes: 1001",
        );
        check(of(vec![filter(900); 5], vec![]), "4500 values");
        let expression = v1::Selection {
            filter: "arhc = amd64".to_owned(),
            ..Default::default()
        };
        check(
            expression,
            "selection.filter: at character 1: 'arhc' is no field",
        );
        let archs = v1::Filter {
            archs: vec!["x86_64".to_owned()],
            ..Default::default()
        };
        check(of(vec![archs], vec![]), "selection.allow[0].archs[0]");
    }

    #[test]
    fn deadlines_are_read_and_nonsense_refused() {
        for (text, known) in [
            ("10S", Some(true)),
            ("99999999H", Some(true)),
            ("0n", Some(true)),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("-5S", None),
            ("5ж", None),
        ] {
            let mut metadata = MetadataMap::new();
            let value = tonic::metadata::MetadataValue::try_from(text.as_bytes());
            metadata.insert("grpc-timeout", value.expect("a header"));
            let told = deadline(&metadata).map(|deadline| deadline.is_some()).ok();
            assert_eq!(told, known, "{text}");
        }
        assert_eq!(deadline(&MetadataMap::new()).ok(), Some(None));
    }
}
