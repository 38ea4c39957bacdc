//! `archtrace matrix`.

use std::io::ErrorKind;
use std::process::ExitCode;

use archtrace_facts::matrix::{Matrix, Status};

use super::{nothing, print, warn};
use crate::args::{Connection, MatrixArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::show::human::count;
use crate::show::{self, Shape};

/// Prints what is known of each workload, and says by the exit code whether all of it passes.
pub(super) async fn matrix(
    connection: &Connection,
    shape: Shape,
    args: &MatrixArgs,
) -> Result<ExitCode, Failure> {
    let client = Client::connect(connection).await?;
    let asked = args.workloads();
    let (mut answer, unnamed) = client.matrix(&asked).await?;
    warn(&answer.coverage);
    if unnamed > 0 {
        eprintln!(
            "warning: {} fact(s) are of pods whose names nobody knows (yet): no row speaks for them",
            count(unnamed)
        );
    }
    let silent = answer.coverage.stale > 0 || answer.coverage.unknown > 0;
    // More of the workloads may be there.
    let is_all = unnamed == 0 && !silent;
    let worst = answer.told.iter().map(|matrix| matrix.status).max();
    only(&mut answer.told, &args.statuses);
    if worst.is_none() {
        nothing(&client, "such workloads", &[]).await?;
    } else {
        match print(&show::matrix(&answer, asked.arch, shape)) {
            // The exit code still says it.
            Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {}
            printed => printed?,
        }
    }
    Ok(match worst {
        Some(Status::Pass | Status::Waived) if is_all => ExitCode::SUCCESS,
        Some(Status::Fix) => 2.into(),
        Some(Status::Pass | Status::Waived | Status::Gate) | None => 3.into(),
    })
}

/// Leaves out other rows, and workloads without any.
fn only(told: &mut Vec<Matrix>, statuses: &[Status]) {
    if statuses.is_empty() {
        return;
    }
    for matrix in &mut *told {
        matrix.rows.retain(|row| statuses.contains(&row.status));
    }
    told.retain(|matrix| !matrix.rows.is_empty());
}
