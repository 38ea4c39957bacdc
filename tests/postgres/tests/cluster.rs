//! The cluster itself: what other tests rely on.

use archtrace_postgres::{Cluster, start};

fn answer(cluster: &Cluster, database: &str, question: &str) -> String {
    let output = cluster
        .psql(database)
        .args(["--command", question])
        .output()
        .expect("psql runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

#[test]
fn what_is_committed_survives_a_stop_and_a_kill() {
    let Some(cluster) = start() else { return };
    let url = cluster.database("one");
    assert!(url.ends_with("/one"), "{url}");
    cluster
        .sql("one", "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (1)")
        .expect("a table");
    cluster.restart().expect("comes back");
    cluster
        .sql("one", "INSERT INTO t VALUES (2)")
        .expect("a row");
    cluster.kill().expect("dies");
    cluster.sql("one", "SELECT 1").expect_err("nobody answers");
    cluster.resume().expect("comes back");
    assert_eq!(answer(&cluster, "one", "SELECT SUM(n) FROM t"), "3");
}

#[test]
fn nothing_is_left_behind() {
    let Some(cluster) = start() else { return };
    let dir = answer(&cluster, "postgres", "SHOW data_directory");
    let pid = answer(&cluster, "postgres", "SELECT pg_backend_pid()");
    assert!(std::path::Path::new(&dir).is_dir());
    drop(cluster);
    assert!(!std::path::Path::new(&dir).exists());
    assert!(!std::path::Path::new("/proc").join(pid).exists());
}
