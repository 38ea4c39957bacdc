//! PostgreSQL does what every store has to do, for several collectors at once; and what it does when the
//! database goes away, or does not let it in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use archtrace_collector::store::postgres::{PostgresStore, PostgresUrl};
use archtrace_collector::store::{Applied, Delta, Snapshot, Store as _, StoreError};
use archtrace_facts::arch::Arch;
use archtrace_facts::image::Image;
use archtrace_postgres::{Cluster, PASSWORD};
use archtrace_query::Read as _;
use archtrace_query::read::ImageQuery;
use tokio::task::JoinSet;

use super::conformance::conforms;
use super::query::fleet::answers;
use super::replicas;
use super::support::{at, batch, event, fact, hello};

conforms! { open }
answers! { open }

/// How long a database of a test may be away.
const PATIENCE: Duration = Duration::from_secs(60);

/// The URL of a database of its own, and its name.
fn database() -> Option<(String, String)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let cluster = archtrace_postgres::shared()?;
    let name = format!("it_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Some((cluster.database(&name), name))
}

async fn try_connect(url: &str, patience: Duration) -> Result<PostgresStore, StoreError> {
    let url = PostgresUrl::of(url).expect("a URL");
    PostgresStore::connect(&url, None, patience).await
}

async fn connect(url: &str) -> PostgresStore {
    try_connect(url, PATIENCE).await.expect("connects")
}

/// Two replicas that come at the same time.
async fn open() -> Option<([PostgresStore; 2], ())> {
    let (url, _) = database()?;
    let (first, second) = tokio::join!(connect(&url), connect(&url));
    Some(([first, second], ()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collectors_tell_the_same_since_when() {
    let Some((url, _)) = database() else {
        return;
    };
    let stores = tokio::join!(connect(&url), connect(&url), connect(&url));
    replicas::tell_the_same_since_when(stores.into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_replicas_start_at_once() {
    let Some((url, name)) = database() else {
        return;
    };
    let mut replicas = JoinSet::new();
    for _ in 0..6 {
        let url = url.clone();
        replicas.spawn(async move { connect(&url).await.name().to_owned() });
    }
    for told in replicas.join_all().await {
        assert!(told.ends_with(&format!("/{name}")), "{told}");
        assert!(!told.contains(PASSWORD), "{told}");
    }
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_without_its_secret() {
    let Some((url, name)) = database() else {
        return;
    };
    drop(connect(&url).await);
    let cluster = archtrace_postgres::shared().expect("it is there");
    cluster
        .sql(&name, "UPDATE schema_version SET version = 99")
        .expect("works");
    cluster
        .sql(&name, "UPDATE schema_works_with SET oldest = 99")
        .expect("works");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = nobody.local_addr().expect("bound").port();
    drop(nobody);
    let port = cluster.port().to_string();
    for (url, reason, hint) in [
        (
            url.clone(),
            "schema 99, this version knows up to",
            "newer archtrace-collector",
        ),
        (
            url.replace(PASSWORD, "s3cret-wrong"),
            "password authentication failed",
            "PGPASSWORD",
        ),
        (
            url.replace(&name, "no_such"),
            "\"no_such\" does not exist",
            "CREATE DATABASE",
        ),
        (
            url.replace(&port, &closed.to_string()),
            "refused",
            "can be reached",
        ),
        (format!("{url}?sslmode=require"), "TLS", "sslmode"),
        (
            format!("{url}?sslmode=verify-full&sslrootcert=/no/such"),
            "/no/such",
            "sslrootcert",
        ),
        (
            format!("{url}?application_nam=s3cret"),
            "does not read",
            "--help",
        ),
    ] {
        let error = try_connect(&url, Duration::ZERO)
            .await
            .expect_err("unusable");
        let told = format!("{error} {error:?}");
        for part in [reason, hint] {
            assert!(told.contains(part), "{part}: {told}");
        }
        for secret in [PASSWORD, "s3cret"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

/// Agents of many nodes that tell of the same images in different orders do not get in each other's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn images_of_many_nodes_are_merged_at_once() {
    let Some(([first, second], ())) = open().await else {
        return;
    };
    let stores = [Arc::new(first), Arc::new(second)];
    let mut agents = JoinSet::new();
    for number in 0..12_usize {
        let store = Arc::clone(&stores[number % 2]);
        agents.spawn(async move {
            let node = format!("n{number}");
            let lease = store
                .attach(hello(&node, 1), at(1))
                .await
                .expect("works")
                .lease;
            let mut images: Vec<_> = (0..8).map(|image| image_of(image, &node)).collect();
            images.rotate_left(number % 8);
            let snapshot = Snapshot {
                epoch: 1,
                revision: 1,
                images,
                ..Snapshot::default()
            };
            store
                .apply_snapshot(lease, snapshot, at(2))
                .await
                .expect("works")
        });
    }
    for applied in agents.join_all().await {
        assert!(matches!(applied, Applied::Yes(_)), "{applied:?}");
    }
    let query = ImageQuery {
        limit: 100,
        ..ImageQuery::default()
    };
    let images = stores[1].images(query).await.expect("works");
    assert_eq!(images.len(), 8);
    for (_, image) in images {
        assert_eq!(image.image.names.len(), 12, "each node has a name for it");
        assert_eq!(image.nodes, [(Arch::Amd64, 12)]);
    }
}

fn image_of(number: usize, node: &str) -> Image {
    Image {
        id: format!("sha256:{number:064}"),
        names: vec![format!("registry/{node}:{number}")],
        ..Image::default()
    }
}

/// While the database is away, callers are told so and nothing ends; when it is back, they go on where
/// they were. Twelve callers for the pool's sixteen connections, so that all of them are hit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_may_go_away_and_come_back() {
    let Some(cluster) = archtrace_postgres::start() else {
        return;
    };
    let cluster = Arc::new(cluster);
    let url = cluster.database("away");
    let store = Arc::new(connect(&url).await);
    let mut agents = JoinSet::new();
    for number in 0..12 {
        let store = Arc::clone(&store);
        agents.spawn(async move { agent(&store, number).await });
    }
    let faults = tokio::task::spawn_blocking(move || {
        for kill in [true, false, true] {
            std::thread::sleep(Duration::from_secs(1));
            fault(&cluster, kill);
        }
        cluster
    });
    let _cluster = faults.await.expect("works");
    let aways: u64 = agents.join_all().await.into_iter().sum();
    assert!(aways > 0, "nobody noticed");
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!(
        (totals.facts, totals.events, totals.unexplained_gap),
        (12, 12 * ROUNDS, 0)
    );
}

const ROUNDS: u64 = 150;

fn fault(cluster: &Cluster, kill: bool) {
    let end = if kill { cluster.kill() } else { cluster.stop() };
    end.expect("ends");
    std::thread::sleep(Duration::from_millis(500));
    cluster.resume().expect("comes back");
}

/// Delivers events and counts until all are stored, as an agent does; returns how often the store was away.
async fn agent(store: &PostgresStore, number: u64) -> u64 {
    let mut aways = 0;
    let mut away = async |error: StoreError| {
        assert!(matches!(error, StoreError::Away { .. }), "{error}");
        aways += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let attached = loop {
        match store.attach(hello(&format!("n{number}"), 1), at(1)).await {
            Ok(attached) => break attached,
            Err(error) => away(error).await,
        }
    };
    let (lease, mut held, mut next) = (attached.lease, 0, 0);
    while held < ROUNDS || next < ROUNDS {
        let round = held + 1;
        let facts = vec![fact("/a", round)];
        // Whether the last one was committed is not known after a failure: a snapshot settles it.
        let applied = if round % 3 == 0 {
            let delta = Delta {
                epoch: 1,
                base_revision: held,
                revision: round,
                upserts: facts,
                ..Delta::default()
            };
            store.apply_delta(lease, delta, at(2)).await
        } else {
            let snapshot = Snapshot {
                epoch: 1,
                revision: round,
                facts,
                ..Snapshot::default()
            };
            store.apply_snapshot(lease, snapshot, at(2)).await
        };
        match applied {
            Ok(Applied::Yes(_)) => held = round,
            Ok(Applied::OtherRevision(Some(committed))) => held = committed,
            Ok(other) => panic!("{other:?}"),
            Err(error) => away(error).await,
        }
        if next < ROUNDS {
            match store
                .append_events(lease.node, batch(next, vec![event("/a", next)]), at(2))
                .await
            {
                Ok(stored) => next = stored,
                Err(error) => away(error).await,
            }
        }
    }
    aways
}

/// Somebody who keeps a row locked keeps its node waiting, not the others, and not for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_kept_is_waited_for_in_vain() {
    let Some((url, name)) = database() else {
        return;
    };
    let store = connect(&url).await;
    let held = store
        .attach(hello("held", 1), at(1))
        .await
        .expect("works")
        .lease
        .node;
    let free = store
        .attach(hello("free", 1), at(1))
        .await
        .expect("works")
        .lease
        .node;
    let cluster = archtrace_postgres::shared().expect("it is there");
    let statements = format!(
        "BEGIN; UPDATE node_state SET session = session WHERE node_id = {}; SELECT pg_sleep(60)",
        held.0
    );
    let mut locker = cluster
        .psql(&name)
        .args(["--command", &statements])
        .spawn()
        .expect("starts");
    let asleep = "SELECT 1 / COUNT(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let deadline = Instant::now() + PATIENCE;
    // Fails by a division as long as nobody sleeps.
    while cluster.sql(&name, asleep).is_err() {
        assert!(Instant::now() < deadline, "it does not get its lock");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let stored = store
        .append_events(free, batch(0, vec![event("/a", 1)]), at(2))
        .await;
    assert_eq!(stored.expect("works"), 1);
    let error = store
        .append_events(held, batch(0, vec![event("/a", 1)]), at(2))
        .await;
    let error = error.expect_err("it is locked");
    assert!(matches!(error, StoreError::Away { .. }), "{error}");
    locker.kill().expect("it runs");
    locker.wait().expect("ends");
}

/// Who the server is, is asked as `sslmode` says; beyond this machine, by default, wholly.
#[tokio::test]
async fn the_server_is_known_by_its_certificate() {
    let Some(cluster) = archtrace_postgres::start() else {
        return;
    };
    let (ca, certificate, key) = certificates("localhost");
    let (other, ..) = certificates("localhost");
    cluster.speak_tls(&certificate, &key).expect("it can");
    let dir = tempfile::tempdir().expect("a directory");
    let root = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("writes");
        format!("&sslrootcert={}", path.display())
    };
    let (ca, other) = (root("ca.pem", &ca), root("other.pem", &other));
    let by_address = cluster.database("tls");
    let by_name = by_address.replace("127.0.0.1", "localhost");
    for (url, mode, root, refused) in [
        (&by_address, "require", "", None),
        (&by_address, "prefer", "", None),
        (&by_address, "disable", "", None),
        (&by_address, "verify-ca", &*ca, None),
        (&by_address, "require", &*ca, None),
        (&by_name, "verify-full", &*ca, None),
        (&by_address, "verify-full", &*ca, Some("not valid for name")),
        (&by_name, "verify-full", &*other, Some("certificate")),
        (&by_address, "verify-ca", &*other, Some("certificate")),
        (&by_address, "require", &*other, Some("certificate")),
    ] {
        let url = format!("{url}?sslmode={mode}{root}");
        // With none to spare: what is refused is not taken for a database that is away.
        match (try_connect(&url, Duration::ZERO).await, refused) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) if error.to_string().contains(part) => {
                assert!(error.to_string().contains("sslrootcert"), "{error}");
            }
            (outcome, _) => panic!("{mode} {root}: {outcome:?}"),
        }
    }
}

/// A new CA, and a certificate and key of its for `name`.
fn certificates(name: &str) -> (String, String, String) {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "a CA of a test");
    let ca = params.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(params, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    (ca.pem(), certificate.pem(), key.serialize_pem())
}
