//! A collector, and what Prometheus reads there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use archtrace_collector::metrics::Options;
use archtrace_collector::serve::Settings;
use archtrace_metrics::read::samples;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::support::Collector;

/// A collector that Prometheus may ask.
pub(super) struct Scraped {
    pub(super) collector: Collector,
    metrics: SocketAddr,
}

impl Scraped {
    pub(super) async fn start(max_series: usize) -> Self {
        Self::start_with(max_series, |_| ()).await
    }

    pub(super) async fn start_with(max_series: usize, change: impl FnOnce(&mut Settings)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let metrics = listener.local_addr().expect("bound");
        let mut settings = Settings::new("test".to_owned(), Duration::from_secs(10));
        change(&mut settings);
        settings.metrics = Some(Options {
            listener: Arc::new(listener),
            max_series,
        });
        let collector = Collector::with(settings).await;
        Self { collector, metrics }
    }

    pub(super) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.metrics).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("is read");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answers");
        answer
    }

    /// The first page on which this series has this number.
    pub(super) async fn until(&self, name: &str, labels: &[(&str, &str)], number: f64) -> String {
        for _ in 0..600 {
            let page = self.get("/metrics").await;
            if value(&page, name, labels) == Some(number) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let page = self.get("/metrics").await;
        panic!("{name} {labels:?} is never {number}:\n{page}");
    }
}

/// The number of a series.
pub(super) fn value(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |series: &BTreeMap<String, String>| {
        let mut labels = labels.iter();
        labels.all(|(label, word)| series.get(*label).is_some_and(|known| known == word))
    };
    let mut found = samples(page).filter(|(known, series, _)| known == name && has(series));
    found.next().map(|(_, _, number)| number)
}
