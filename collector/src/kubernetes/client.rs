//! The way to the API, the same for all who ask.

use std::time::Duration;

use kube::{Client, Config};

/// How long nothing may come of a connection on which something is to come. A server ends a watch after 290 s
/// (`kube`'s default), so that nothing for longer says that nobody is there any more: the node of the API server
/// may have vanished, of which no packet tells. `kube` looks at that only while a watch goes on, not while it
/// lists or begins one.
const SILENCE: Duration = Duration::from_secs(330);

/// A client of the pod's cluster, or of the kubeconfig's.
///
/// # Errors
/// If there is neither: why.
pub(crate) async fn client() -> Result<Client, String> {
    let config = Config::infer().await.map_err(|error| error.to_string())?;
    client_of(config, SILENCE).map_err(|error| error.to_string())
}

fn client_of(mut config: Config, silence: Duration) -> kube::Result<Client> {
    config.read_timeout = Some(silence);
    // A connection that was kept is not silent because nothing was asked.
    config.reset_reader_on_write = true;
    // It would be silent for minutes about an API server that is overloaded. Whoever asks here waits longer
    // after each failure, and says so.
    config.default_retry = false;
    Client::try_from(config)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use k8s_openapi::api::core::v1::Node;
    use kube::Api;
    use kube::api::ListParams;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::kubernetes::watch;

    async fn listener() -> (TcpListener, Config) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        (listener, Config::new(url.parse().expect("a URL")))
    }

    /// It takes what is asked, and says nothing.
    #[tokio::test]
    async fn a_list_that_nobody_answers_is_an_error() {
        let (_listener, config) = listener().await;
        let client = client_of(config, Duration::from_millis(100)).expect("a client");
        let mut events = watch::metadata::<Node>(&client);
        let told = async {
            loop {
                if let Err(error) = events.next().await.expect("goes on") {
                    return error;
                }
            }
        };
        let told = timeout(Duration::from_secs(60), told).await;
        told.expect("it does not wait for ever");
    }

    #[tokio::test]
    async fn an_api_server_that_is_overloaded_is_told_of_at_once() {
        let (listener, config) = listener().await;
        let server = tokio::spawn(async move {
            let mut asked = 0;
            loop {
                let (mut stream, _) = listener.accept().await.expect("somebody asks");
                asked += 1;
                let _ = stream.read(&mut [0; 4096]).await;
                let busy = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(busy.as_bytes()).await;
                assert_eq!(asked, 1, "it asks again by itself");
            }
        });
        let client = client_of(config, SILENCE).expect("a client");
        let nodes: Api<Node> = Api::all(client);
        let answer = nodes.list(&ListParams::default()).await;
        assert!(answer.is_err());
        assert!(!server.is_finished(), "it asked twice");
        server.abort();
    }
}
