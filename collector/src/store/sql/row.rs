//! Rows of either database, read from left to right.

use std::str::FromStr;

use archtrace_facts::fact::FactKey;
use archtrace_facts::identity::{self, Identity};
use archtrace_proto::convert::decode_identity;

use super::Failure;

/// A row of a result; columns are counted from 0.
pub(in crate::store) trait Row {
    /// A number, `None` if it is NULL.
    fn integer(&self, at: usize) -> Result<Option<i64>, Failure>;
    /// A text, `None` if it is NULL.
    fn text(&self, at: usize) -> Result<Option<&str>, Failure>;
    /// Bytes, `None` if it is NULL.
    fn blob(&self, at: usize) -> Result<Option<&[u8]>, Failure>;
}

/// The columns of a row, one after the other, in the order in which the statement names them.
pub(super) struct Cells<'r, R> {
    row: &'r R,
    next: usize,
}

impl<'r, R: Row> Cells<'r, R> {
    pub(super) fn of(row: &'r R) -> Self {
        Self { row, next: 0 }
    }

    fn step(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    pub(super) fn some_integer(&mut self) -> Result<Option<i64>, Failure> {
        self.row.integer(self.step())
    }

    pub(super) fn integer(&mut self) -> Result<i64, Failure> {
        let at = self.step();
        self.row.integer(at)?.ok_or_else(|| null(at))
    }

    pub(super) fn some_text(&mut self) -> Result<Option<&'r str>, Failure> {
        self.row.text(self.step())
    }

    pub(super) fn text(&mut self) -> Result<&'r str, Failure> {
        let at = self.step();
        self.row.text(at)?.ok_or_else(|| null(at))
    }

    pub(super) fn some_blob(&mut self) -> Result<Option<&'r [u8]>, Failure> {
        self.row.blob(self.step())
    }

    pub(super) fn blob(&mut self) -> Result<&'r [u8], Failure> {
        let at = self.step();
        self.row.blob(at)?.ok_or_else(|| null(at))
    }

    /// A word; one that this version does not know was not written by it.
    pub(super) fn word<T>(&mut self) -> Result<T, Failure>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        Ok(self.text()?.parse()?)
    }

    fn some_word<T>(&mut self) -> Result<Option<T>, Failure>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        Ok(self.some_text()?.map(str::parse).transpose()?)
    }

    /// The columns of a key, which facts and events have alike: cgroup, binary, `path_resolved`, arch,
    /// mode, emulator, via, cause.
    pub(super) fn key(&mut self) -> Result<FactKey, Failure> {
        Ok(FactKey {
            cgroup: self.text()?.to_owned(),
            binary: self.text()?.to_owned(),
            path_resolved: self.integer()? != 0,
            arch: self.word()?,
            mode: self.word()?,
            emulator: self.some_text()?.map(str::to_owned),
            via: self.some_word()?,
            cause: self.some_word()?,
        })
    }
}

/// Whose a cgroup is: as it was told, else as its path says.
pub(super) fn identity(told: Option<&[u8]>, cgroup: &str) -> Result<Identity, Failure> {
    match told {
        Some(told) => Ok(decode_identity(told)?),
        None => Ok(identity::of_cgroup(cgroup)),
    }
}

fn null(at: usize) -> Failure {
    format!("column {at} is NULL, which this version never writes").into()
}
