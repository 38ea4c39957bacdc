//! A way to a collector that can be cut.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

use crate::random::Random;

/// Passes bytes on, from a port of its own to wherever the collector is now.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// Where the collector listens, if it runs.
    target: Option<SocketAddr>,
    connections: Vec<AbortHandle>,
}

impl Proxy {
    /// Listens on a free port of the loopback device; there is nothing behind it yet.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared {
            target: None,
            connections: Vec::new(),
        }));
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// New connections go there from now on, or are refused.
    pub fn set_target(&self, target: Option<SocketAddr>) {
        lock(&self.shared).target = target;
    }

    /// Cuts some of the connections, whatever is on its way. Returns how many.
    pub fn cut(&self, random: &mut Random, most: usize) -> usize {
        let mut shared = lock(&self.shared);
        let mut cuts = 0;
        for _ in 0..most {
            let index = random.below(shared.connections.len());
            if index < shared.connections.len() {
                shared.connections.swap_remove(index).abort();
                cuts += 1;
            }
        }
        cuts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        lock(&self.shared)
            .connections
            .drain(..)
            .for_each(|connection| connection.abort());
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    // An error is about one connection, or about descriptors, of which tests have enough.
    while let Ok((agent, _)) = listener.accept().await {
        let mut shared = lock(&shared);
        let Some(target) = shared.target else {
            continue;
        };
        let connection = tokio::spawn(async move {
            // Either side may leave at any time: that is what this is for.
            let _ = pass(agent, target).await;
        });
        shared
            .connections
            .retain(|connection| !connection.is_finished());
        shared.connections.push(connection.abort_handle());
    }
}

async fn pass(mut agent: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut collector = TcpStream::connect(target).await?;
    agent.set_nodelay(true)?;
    collector.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut agent, &mut collector).await?;
    Ok(())
}

/// Nothing is left half changed, so that a panic elsewhere does not matter here.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
