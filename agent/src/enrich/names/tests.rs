//! What a runtime may do wrong. What it does right is shown with a real one (`tests/`).

mod fake;
mod node;

use std::time::Duration;

use archtrace_facts::identity::LastExit;
use tokio::time::timeout;

use self::node::{A_WHILE, HOLD, Node, SOON, UID, cgroup, id, image};
use super::*;

fn exit(code: i32, reason: &str) -> Option<LastExit> {
    let reason = reason.to_owned();
    Some(LastExit { code, reason })
}

#[tokio::test]
async fn a_container_gets_all_its_names_and_its_image_is_told_once() {
    let mut node = Node::new();
    node.fake.container(&id('1'), &id('a'), "hsm", 0, &image());
    node.fake.container(&id('2'), &id('a'), "side", 0, &image());
    let _running = node.fake.start();
    node.state("fake 1.0 at").await;
    for container in ['1', '2'] {
        node.ask(&id(container));
    }
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(timeout(SOON, node.names.next()).await.expect("news"));
    }
    assert!(node.is_silent().await);
    let expected = Image {
        id: image(),
        names: vec!["registry/api:1".to_owned()],
        arch: Some(Arch::Arm64),
        os: "linux".to_owned(),
        program: "api".to_owned(),
        path: "/bin".to_owned(),
        ..Image::default()
    };
    assert_eq!(
        told.iter()
            .filter(|news| **news == News::Image(expected.clone()))
            .count(),
        1
    );
    for (container, name) in [('1', "hsm"), ('2', "side")] {
        let labels = [("app", "api"), ("pod-template-hash", "7c9f8d5b6")];
        let identity = Identity {
            namespace: "pay".to_owned(),
            pod: "api-7c9f8d5b6-x2k4z".to_owned(),
            container: name.to_owned(),
            pod_uid: UID.to_owned(),
            container_id: id(container),
            unit: String::new(),
            image: "registry/api:1".to_owned(),
            image_id: image(),
            image_arch: Some(Arch::Arm64),
            workload: "Deployment/api".to_owned(),
            workload_from_api: false,
            labels: labels
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            attempt: 0,
            last_exit: None,
        };
        let cgroup = cgroup(&id(container));
        assert!(told.contains(&News::Identity { cgroup, identity }));
    }
    // Asked again, it is told again.
    node.ask(&id('1'));
    assert_eq!(node.identity().await.container, "hsm");
}

#[tokio::test]
async fn the_pause_container_and_the_pod_itself_have_names_too() {
    let mut node = Node::new();
    let _running = node.fake.start();
    node.ask(&id('a'));
    let identity = node.identity().await;
    assert_eq!(
        [&*identity.pod, &*identity.container],
        ["api-7c9f8d5b6-x2k4z", "pause"]
    );
    node.ask("");
    let identity = node.identity().await;
    assert_eq!(
        [&*identity.workload, &*identity.container],
        ["Deployment/api", ""]
    );
}

#[tokio::test]
async fn who_was_started_again_tells_how_it_ended_before() {
    let mut node = Node::new();
    for (digit, name, attempt) in [
        ('1', "hsm", 0),
        ('2', "hsm", 1),
        ('3', "side", 1),
        ('4', "hsm", 2),
    ] {
        node.fake
            .container(&id(digit), &id('a'), name, attempt, &image());
    }
    node.fake.exit(&id('1'), 137, "OOMKilled");
    node.fake.exit(&id('2'), 1, "Error");
    let _running = node.fake.start();
    for (digit, attempt, expected) in [
        ('1', 0, exit(137, "OOMKilled")),
        ('2', 1, exit(1, "Error")),
        ('3', 1, None),
        ('4', 2, exit(1, "Error")),
    ] {
        node.ask(&id(digit));
        let identity = node.identity().await;
        assert_eq!(
            (identity.attempt, identity.last_exit),
            (attempt, expected),
            "{digit}"
        );
    }
}

#[tokio::test]
async fn the_end_is_told_and_the_name_is_held_a_while() {
    let mut node = Node::new();
    node.fake.container(&id('1'), &id('a'), "hsm", 0, &image());
    let _running = node.fake.start();
    node.ask(&id('1'));
    assert_eq!(node.identity().await.last_exit, None);
    node.names.ended(&cgroup(&id('1')));
    // The runtime does not know yet.
    tokio::select! {
        news = node.names.next() => panic!("{news:?}"),
        () = tokio::time::sleep(Duration::from_millis(30)) => {}
    }
    node.fake.exit(&id('1'), 255, "StartError");
    assert_eq!(node.identity().await.last_exit, exit(255, "StartError"));
    // It is removed there, and asked for by an event that is late.
    node.fake.world().containers.clear();
    node.ask(&id('1'));
    assert_eq!(node.identity().await.last_exit, exit(255, "StartError"));
    tokio::time::sleep(HOLD).await;
    let forgotten = async {
        while !node.is_silent().await {
            node.ask(&id('1'));
        }
        node.ask(&id('1'));
        node.is_silent().await
    };
    assert!(timeout(SOON, forgotten).await.expect("it is forgotten"));
}

#[tokio::test]
async fn a_runtime_that_hangs_delays_names_and_nothing_else() {
    let mut node = Node::new();
    node.fake.container(&id('1'), &id('a'), "hsm", 0, &image());
    let log = format!("log/containers/api-7c9f8d5b6-x2k4z_pay_hsm-{}.log", id('1'));
    let log = node.directory.path().join(log);
    std::fs::create_dir_all(log.parent().expect("it has one")).expect("made");
    std::fs::write(log, "").expect("made");
    node.fake.world().hangs = true;
    let _running = node.fake.start();
    node.ask(&id('1'));
    // The names of the logs do for now.
    let identity = node.identity().await;
    assert_eq!(
        [&*identity.pod, &*identity.container],
        ["api-7c9f8d5b6-x2k4z", "hsm"]
    );
    assert_eq!([&*identity.image, &*identity.pod_uid], ["", UID]);
    node.state("does not answer: ").await;
    let before = std::time::Instant::now();
    for digit in ['5', '6', '7', '8'] {
        node.ask(&id(digit));
    }
    assert!(before.elapsed() < node.names.config.pace.patience);
    node.fake.world().hangs = false;
    let identity = node.identity().await;
    assert_eq!(
        [&*identity.image, &*identity.workload],
        ["registry/api:1", "Deployment/api"]
    );
}

#[tokio::test]
async fn a_runtime_that_comes_and_goes_is_asked_when_it_is_there() {
    let mut node = Node::new();
    node.fake.container(&id('1'), &id('a'), "hsm", 0, &image());
    node.state("no socket at").await;
    node.ask(&id('1'));
    assert!(node.is_silent().await);
    let running = node.fake.start();
    assert_eq!(node.identity().await.container, "hsm");
    drop(running);
    node.fake.container(&id('2'), &id('a'), "side", 0, &image());
    node.ask(&id('2'));
    assert!(node.is_silent().await);
    node.state("does not answer: ").await;
    let _running = node.fake.start();
    assert_eq!(node.identity().await.container, "side");
    node.state("fake 1.0 at").await;
}

#[tokio::test]
async fn what_ends_while_the_runtime_is_away_is_told_later() {
    let mut node = Node::new();
    node.fake.container(&id('1'), &id('a'), "hsm", 0, &image());
    let running = node.fake.start();
    node.ask(&id('1'));
    assert_eq!(node.identity().await.last_exit, None);
    drop(running);
    node.state("does not answer: ").await;
    node.names.ended(&cgroup(&id('1')));
    assert!(node.is_silent().await);
    node.fake.exit(&id('1'), 2, "Error");
    let _running = node.fake.start();
    assert_eq!(node.identity().await.last_exit, exit(2, "Error"));
}

#[tokio::test]
async fn an_error_is_tried_again_and_an_unknown_id_given_up() {
    let mut node = Node::new();
    let running = node.fake.start();
    node.state("fake 1.0 at").await;
    // Known a moment later, as a sandbox is.
    node.ask(&id('1'));
    tokio::select! {
        news = node.names.next() => panic!("{news:?}"),
        () = tokio::time::sleep(Duration::from_millis(30)) => {}
    }
    node.fake.container(&id('1'), &id('a'), "hsm", 0, &image());
    assert_eq!(node.identity().await.container, "hsm");
    // Errors.
    node.fake.container(&id('2'), &id('a'), "side", 0, &image());
    node.fake.world().fails = true;
    node.ask(&id('2'));
    tokio::select! {
        news = node.names.next() => panic!("{news:?}"),
        () = tokio::time::sleep(Duration::from_millis(30)) => {}
    }
    node.fake.world().fails = false;
    assert_eq!(node.identity().await.container, "side");
    // Given up, until the runtime is another.
    node.ask(&id('3'));
    assert!(node.is_silent().await);
    let mut calls = 0;
    while calls != node.fake.world().calls {
        calls = node.fake.world().calls;
        assert!(node.is_silent().await);
    }
    node.ask(&id('3'));
    assert!(node.is_silent().await);
    assert_eq!(node.fake.world().calls, calls);
    drop(running);
    node.state("does not answer: ").await;
    node.fake.container(&id('3'), &id('a'), "late", 0, &image());
    let _running = node.fake.start();
    assert_eq!(node.identity().await.container, "late");
}

#[tokio::test]
async fn an_answer_that_is_too_large_costs_only_the_list() {
    let mut node = Node::new();
    node.fake.container(&id('1'), &id('a'), "hsm", 0, &image());
    let huge = format!("{:064}", 0);
    node.fake
        .container(&huge, &id('a'), "huge", 0, &"x".repeat(5 << 20));
    let _running = node.fake.start();
    node.ask(&id('1'));
    assert_eq!(node.identity().await.container, "hsm");
    node.ask(&huge);
    assert!(node.is_silent().await);
    node.state("fake 1.0 at").await;
}

#[tokio::test]
async fn many_at_once_are_listed_and_none_is_forgotten() {
    let mut node = Node::new();
    let _running = node.fake.start();
    node.state("fake 1.0 at").await;
    let ids: Vec<String> = (0..200).map(|number| format!("{number:064}")).collect();
    for id in &ids {
        node.fake
            .container(id, &self::id('a'), "short", 0, &image());
        node.ask(id);
    }
    let mut told = std::collections::BTreeSet::new();
    while told.len() < ids.len() {
        // Dropped now and then, as the watching side does.
        if let Ok(News::Identity { identity, .. }) =
            timeout(Duration::from_micros(300), node.names.next()).await
        {
            told.insert(identity.container_id);
        }
    }
    assert_eq!(node.names.lost(), 0);
}

#[tokio::test]
async fn nobody_is_named_after_another_pods_container() {
    let mut node = Node::new();
    node.fake.container(&id('1'), &id('a'), "hsm", 0, &image());
    let _running = node.fake.start();
    let path = Identity {
        pod_uid: "another".to_owned(),
        container_id: id('1'),
        ..Identity::default()
    };
    node.names.ask("/x", &path);
    assert!(node.is_silent().await);
}

#[tokio::test]
async fn what_is_off_is_off_and_too_many_questions_are_counted() {
    let mut names = Names::start(Config {
        socket: Socket::Off,
        logs: PathBuf::from("/nonexistent"),
        pace: Pace::default(),
    });
    names.ask("/system.slice/cron.service", &Identity::default());
    assert_eq!(names.waiting.len(), 0);
    for number in 0..MAX_WAITING + 3 {
        let container_id = number.to_string();
        names.ask(
            "/x",
            &Identity {
                container_id,
                ..Identity::default()
            },
        );
    }
    assert_eq!(names.lost(), 3);
    assert!(timeout(A_WHILE, names.next()).await.is_err());
    assert_eq!(names.state(), State::Off);
}
