//! Statements that are sent behind each other, without waiting for each one's answer.

use futures_util::future::try_join_all;
use tokio_postgres::types::ToSql;

use super::pool::{Param, Transaction};
use crate::store::sql::Failure;

/// A value that a statement keeps until it is sent.
pub(super) type Value = Box<dyn ToSql + Send + Sync>;

/// Statements in the order in which they have to take effect.
#[derive(Debug, Default)]
pub(super) struct Writes(Vec<(&'static str, Vec<Value>)>);

impl Writes {
    /// Adds a statement of constant text.
    pub(super) fn add(&mut self, text: &'static str, values: Vec<Value>) {
        self.0.push((text, values));
    }

    /// Sends all, and waits for all. A server takes what a connection sends in its order; those that are not
    /// prepared on this connection yet are prepared first, so that none overtakes another.
    pub(super) async fn run(self, tx: &Transaction) -> Result<(), Failure> {
        let texts: Vec<_> = self.0.iter().map(|(text, _)| *text).collect();
        tx.prepare(&texts).await?;
        let sent = self.0.iter().map(|(text, values)| async move {
            let values: Vec<Param<'_>> = values.iter().map(|value| &**value as Param<'_>).collect();
            tx.execute(text, &values).await
        });
        // Polled in order, as far as there are no more than 30 of them: a change has a dozen at most.
        try_join_all(sent).await?;
        Ok(())
    }
}

/// `values![a, b]`: a list of [`Value`]s.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as $crate::store::postgres::writes::Value),*] };
}
pub(super) use values;
