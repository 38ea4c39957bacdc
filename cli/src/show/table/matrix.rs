//! The portability matrix: one row each; wide, with what to do and all that shows it.

use archtrace_facts::matrix::{Matrix, Row};
use comfy_table::ContentArrangement;

use super::Listing;
use crate::show::human::count;
use crate::show::matrix::evidence;

pub(crate) fn matrix(told: &[Matrix]) -> String {
    let head = ["WORKLOAD", "LAYER", "COMPONENT", "STATUS", "WHY", "SUCH AS"];
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for (matrix, row) in rows(told) {
        let first = row.evidence.first();
        table.add(vec![
            table.plain(name(matrix)),
            table.plain(row.layer),
            table.plain(&row.component),
            table.status(row.status),
            table.plain(&row.why),
            table.plain(first.map_or("", |evidence| &evidence.what)),
        ]);
    }
    table.text()
}

pub(crate) fn matrix_wide(told: &[Matrix]) -> String {
    let mut text = String::new();
    for (matrix, row) in rows(told) {
        let Row {
            layer,
            component,
            status,
            why,
            action,
            finding,
            evidence: shown_by,
            more_evidence,
        } = row;
        let mut table = Listing::new(&[], ContentArrangement::Disabled);
        for (title, value) in [
            ("cluster", matrix.cluster.as_str()),
            ("workload", &name(matrix)),
            ("layer", layer.as_str()),
            ("component", component),
        ] {
            if !value.is_empty() {
                table.pair(title, value);
            }
        }
        let cell = table.status(*status);
        table.add(vec![table.plain("status"), cell]);
        for (title, value) in [("why", why), ("action", action), ("finding", finding)] {
            if !value.is_empty() {
                table.pair(title, value);
            }
        }
        for shown in shown_by {
            table.pair("evidence", evidence(shown));
        }
        if *more_evidence > 0 {
            table.pair("evidence", format!("and {} more", count(*more_evidence)));
        }
        text.push_str(&table.text());
        text.push('\n');
    }
    text
}

fn rows(told: &[Matrix]) -> impl Iterator<Item = (&Matrix, &Row)> {
    told.iter()
        .flat_map(|matrix| matrix.rows.iter().map(move |row| (matrix, row)))
}

fn name(matrix: &Matrix) -> String {
    match matrix.workload.as_str() {
        "" => format!("{} (unknown)", matrix.namespace),
        workload => format!("{}/{workload}", matrix.namespace),
    }
}
