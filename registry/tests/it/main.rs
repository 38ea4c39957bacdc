//! What a real registry tells; and what only one that fails, or means ill, would show.

mod faults;
mod real;
mod token;

use archtrace_facts::registry::{Listing, Trouble};
use archtrace_registry::{Client, Credentials, Options, RegistryError};

fn client() -> Client {
    with_plaintext(&[])
}

fn with_plaintext(hosts: &[String]) -> Client {
    let options = Options {
        plaintext: hosts.to_vec(),
        local: Vec::new(),
        roots: rustls::RootCertStore::empty(),
    };
    Client::new(options).expect("a client")
}

fn ask(client: &Client, reference: &str, config: &str) -> Result<Listing, RegistryError> {
    ask_again(client, reference, config, None)
}

fn ask_again(
    client: &Client,
    reference: &str,
    config: &str,
    known: Option<&Listing>,
) -> Result<Listing, RegistryError> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let reference = reference.parse().expect(reference);
    let credentials = Credentials::parse(config).expect(config);
    runtime.block_on(client.ask(&reference, &credentials, known))
}

/// Whether it is an index, and its platforms.
fn listed(told: Result<Listing, RegistryError>) -> (bool, String) {
    let listing = told.expect("a listing");
    (listing.is_index, listing.named())
}

fn trouble(told: &Result<Listing, RegistryError>, expected: Trouble, part: &str) {
    let error = told.as_ref().expect_err("no listing");
    assert_eq!(error.trouble(), expected, "{error}");
    assert!(error.to_string().contains(part), "{part}: {error}");
}
