//! Whose cgroups are, and images.

use archtrace_collector::store::{NamedPod, Store};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Foreign, Role, Skip};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::identity::{Identity, LastExit, of_cgroup};
use archtrace_facts::image::Image;
use archtrace_facts::report::{Owner, Record};
use archtrace_facts::select::Filter;
use archtrace_query::read::{EventQuery, FactQuery, ImageQuery};

use super::super::support::{at, batch, event, fact, hello};
use super::{all, any, attach, events, facts, head, only, owner, snapshot, tell};

pub(crate) async fn names_may_come_later(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let other = attach(store, "m", 1).await;
    for node in [node, other] {
        snapshot(store, node, 1, vec![fact("/a", 3)]).await;
        store
            .append_events(node.node, batch(0, vec![event("/a", 1)]), at(2))
            .await
            .expect("works");
    }
    let cgroup = fact("/a", 3).key.cgroup;
    let known = || async {
        let facts = facts(store, all()).await;
        let events = events(store, any()).await;
        let of = |node: &str| {
            let fact = facts.iter().find(|fact| fact.node == node);
            let is_event = |event: &&NodeEvent| matches!(event.record, Record::Event(_));
            let mut events = events.iter().filter(is_event);
            let event = events.find(|event| event.node == node);
            let fact = fact.expect("it is there").identity.clone();
            assert_eq!(fact, event.expect("it is there").identity);
            fact
        };
        (of("n"), of("m"))
    };
    let by_path = of_cgroup(&cgroup);
    assert_eq!(known().await, (by_path.clone(), by_path.clone()));
    let whole = Identity {
        container: "hsm".to_owned(),
        pod_uid: "u".to_owned(),
        container_id: "c".to_owned(),
        unit: "x.service".to_owned(),
        image: "x:1".to_owned(),
        image_id: "sha256:1".to_owned(),
        image_arch: Some(Arch::Amd64),
        workload: "Deployment/api".to_owned(),
        labels: [("app".to_owned(), "api".to_owned())].into(),
        attempt: 3,
        last_exit: Some(LastExit {
            code: -1,
            reason: "Error".to_owned(),
        }),
        ..owner(&cgroup, "pay", "api-7c9").identity
    };
    let told = Owner {
        cgroup: cgroup.clone(),
        identity: whole.clone(),
    };
    tell(
        store,
        node,
        1,
        vec![owner(&cgroup, "pay", "api"), told],
        Vec::new(),
    )
    .await;
    assert_eq!(known().await, (whole.clone(), by_path.clone()));
    // Neither another epoch nor a snapshot without it takes it back.
    let attached = store.attach(hello("n", 2), at(9)).await;
    let node = attached.expect("works").lease;
    snapshot(store, node, 2, Vec::new()).await;
    assert_eq!(known().await, (whole, by_path));
    for (namespace, pod, count) in [
        ("pay", "api-7c9", 1),
        ("pay", "api", 0),
        ("x", "api-7c9", 0),
    ] {
        let filter = Filter {
            namespaces: vec![namespace.to_owned()],
            pods: vec![pod.to_owned()],
            ..Filter::default()
        };
        let of_facts = FactQuery {
            selection: only(filter.clone()),
            ..all()
        };
        let of_events = EventQuery {
            selection: only(filter),
            ..any()
        };
        assert_eq!(
            facts(store, of_facts).await.len(),
            count,
            "{namespace}/{pod}"
        );
        assert_eq!(
            events(store, of_events).await.len(),
            count,
            "{namespace}/{pod}"
        );
    }
}

fn image(id: &str, names: &[&str], files: Option<u64>) -> Image {
    let audit = files.map(|files| Audit {
        expected: Arch::Arm64,
        files,
        bytes: 7,
        elf: vec![(Arch::Amd64, 1), (Arch::Arm64, 2)],
        main: Some(("/app".to_owned(), Arch::Arm64)),
        foreign: vec![Foreign {
            path: "/lib/x.so".to_owned(),
            arch: Arch::Amd64,
            role: Role::Library,
        }],
        more_foreign: 1,
        skipped: vec![(Skip::Depth, 2)],
    });
    Image {
        id: id.to_owned(),
        names: names.iter().map(|&name| name.to_owned()).collect(),
        arch: Some(Arch::Arm64),
        os: "linux".to_owned(),
        variant: "v8".to_owned(),
        audit,
    }
}

pub(crate) async fn images_are_stored_once(store: &impl Store) {
    let n = attach(store, "n", 1).await;
    let m = attach(store, "m", 1).await;
    for node in [n, m] {
        snapshot(store, node, 1, Vec::new()).await;
    }
    let first = image("sha256:1", &["x:1"], None);
    tell(store, n, 1, Vec::new(), vec![first.clone()]).await;
    let list = |nodes: &[&str], names: &[&str]| ImageQuery {
        nodes: nodes.iter().map(|&name| name.to_owned()).collect(),
        names: names.iter().map(|&name| name.to_owned()).collect(),
        after: None,
        limit: 9,
    };
    let ask = async |query| store.images(query).await.expect("works");
    let known = ask(list(&[], &[])).await;
    assert_eq!(
        (&known[0].1.image, &known[0].1.nodes),
        (&first, &vec![(Arch::Amd64, 1)])
    );
    // What one node found holds for all; who looked at less changes nothing.
    tell(
        store,
        m,
        1,
        Vec::new(),
        vec![image("sha256:1", &["y:2"], Some(9))],
    )
    .await;
    tell(
        store,
        n,
        2,
        Vec::new(),
        vec![image("sha256:1", &["x:1"], Some(3))],
    )
    .await;
    tell(
        store,
        n,
        3,
        Vec::new(),
        vec![image("sha256:2", &["z:1"], Some(1)), first],
    )
    .await;
    let whole = image("sha256:1", &["x:1", "y:2"], Some(9));
    let other = image("sha256:2", &["z:1"], Some(1));
    for (query, expected) in [
        (list(&[], &[]), vec![(&other, 1), (&whole, 2)]),
        (list(&["m"], &[]), vec![(&whole, 2)]),
        (list(&["m", "n"], &["z", "q"]), vec![(&other, 1)]),
        (list(&[], &["y:"]), vec![(&whole, 2)]),
        (list(&["m"], &["z"]), vec![]),
    ] {
        let known = ask(query.clone()).await;
        let known: Vec<_> = known
            .iter()
            .map(|(_, image)| {
                (
                    &image.image,
                    image.nodes.iter().map(|(_, count)| *count).sum(),
                )
            })
            .collect();
        assert_eq!(known, expected, "{query:?}");
    }
    let all = ask(list(&[], &[])).await;
    let rest = ImageQuery {
        after: Some(all[0].0),
        ..list(&[], &[])
    };
    assert_eq!(ask(rest).await, all[1..]);
}

/// A pod that its labels say is of a Job.
fn labelled(uid: &str) -> Owner {
    let mut told = owner("/a.slice", "pay", "db-0");
    told.identity.pod_uid = uid.to_owned();
    told.identity.workload = "Job/a-1".to_owned();
    told
}

/// The nodes whose facts, and whose events, are of this workload.
async fn nodes_of(store: &impl Store, workload: &str) -> Vec<String> {
    let filter = Filter {
        workloads: vec![workload.to_owned()],
        ..Filter::default()
    };
    let of_facts = FactQuery {
        selection: only(filter.clone()),
        ..all()
    };
    let of_events = EventQuery {
        selection: only(filter),
        ..any()
    };
    let facts = facts(store, of_facts).await.into_iter();
    let facts: Vec<_> = facts.map(|fact| fact.node).collect();
    let events = events(store, of_events).await.into_iter();
    assert_eq!(
        facts,
        events.map(|event| event.node).collect::<Vec<_>>(),
        "{workload}"
    );
    facts
}

/// Two collectors, one of which watches the API.
pub(crate) async fn what_the_api_says_of_pods_holds([store, other]: &[impl Store; 2]) {
    let n = attach(store, "n", 1).await;
    let m = attach(store, "m", 1).await;
    for (node, uid) in [(n, "u"), (m, "v")] {
        snapshot(store, node, 1, vec![fact("/a", 3)]).await;
        tell(store, node, 1, vec![labelled(uid)], Vec::new()).await;
        store
            .append_events(node.node, batch(0, vec![event("/a", 1)]), at(2))
            .await
            .expect("works");
    }
    let named = |uid: &str, pod: &str| NamedPod {
        namespace: "pay".to_owned(),
        pod: pod.to_owned(),
        uid: uid.to_owned(),
        workload: "CronJob/a".to_owned(),
    };
    let before = [head(store, "n").await, head(store, "m").await];
    let name = async |pods| store.name_pods(pods).await.expect("works");
    // Of another pod of this name; of none that is known; and the one that is meant.
    assert_eq!(name(vec![named("w", "db-0"), named("u", "db-1")]).await, 0);
    assert_eq!(head(store, "n").await, before[0]);
    assert_eq!(name(vec![named("w", "db-0"), named("u", "db-0")]).await, 1);
    let again = other.name_pods(vec![named("u", "db-0")]).await;
    assert_eq!(again.expect("works"), 0, "it is known");
    assert_eq!(head(store, "m").await, before[1], "nothing of it changed");
    // Who follows is told, and it is no sign of life.
    let now = head(other, "n").await;
    assert_eq!(now.version.0, before[0].version.0 + 1);
    assert_eq!(now.last_heard, before[0].last_heard);
    let changes = other.facts_since(vec![(n.node, before[0].version)]).await;
    let changes = changes.expect("works");
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].fact.identity.workload, "CronJob/a");
    assert_eq!(nodes_of(other, "CronJob/a").await, ["n"]);
    assert_eq!(nodes_of(other, "Job/a-1").await, ["m"]);
    // An agent does not know better, and says something else besides.
    let mut again = labelled("u");
    again.identity.image = "x:2".to_owned();
    tell(other, n, 2, vec![again], Vec::new()).await;
    assert_eq!(nodes_of(store, "CronJob/a").await, ["n"]);
    let known = facts(store, all()).await;
    let known = known.iter().find(|fact| fact.node == "n").expect("one");
    assert_eq!(known.identity.image, "x:2");
    let before = head(store, "n").await;
    let mut again = labelled("u");
    again.identity.image = "x:2".to_owned();
    tell(other, n, 3, vec![again], Vec::new()).await;
    assert_eq!(
        head(store, "n").await.version,
        before.version,
        "nothing new"
    );
    // The next pod of this name is another one.
    tell(other, n, 4, vec![labelled("x")], Vec::new()).await;
    assert_eq!(nodes_of(store, "CronJob/a").await, Vec::<String>::new());
    // A whole snapshot may name what the API said.
    let mut whole = labelled("x");
    whole.identity.workload_from_api = true;
    tell(store, n, 5, vec![whole], Vec::new()).await;
    assert_eq!(name(vec![named("x", "db-0")]).await, 1);
}
