use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Fact, FactKey, Mode, Via};
use archtrace_facts::identity::Identity;

use super::*;

/// A binary that runs emulated on a node.
pub(in super::super) fn fact(node: &str, binary: &str, alive: u64, cpu_ms: u64) -> FactUpdate {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    FactUpdate::Upsert(Box::new(NodeFact {
        cluster: "prod".to_owned(),
        node: node.to_owned(),
        node_arch: Arch::Arm64,
        fact: Fact {
            key: FactKey {
                cgroup: "/kubepods.slice/a".to_owned(),
                binary: binary.to_owned(),
                path_resolved: true,
                arch: Arch::Amd64,
                mode: Mode::Emulated,
                emulator: Some("/usr/bin/qemu-x86_64".to_owned()),
                via: Some(Via::BinfmtMisc),
                cause: None,
            },
            count: 7,
            processes: alive,
            cpu_ns: cpu_ms * 1_000_000,
            first_seen: time,
            last_seen: time,
        },
        identity: Identity {
            namespace: "pay".to_owned(),
            pod: "api-7c9f8d5b6-x2x4z".to_owned(),
            container: "app".to_owned(),
            workload: "Deployment/api".to_owned(),
            image: "registry.example/pay/api:1.4".to_owned(),
            ..Identity::default()
        },
        current: true,
        ended: false,
    }))
}

pub(in super::super) fn snapshot(facts: Vec<FactUpdate>) -> Vec<FactUpdate> {
    let begin = FactUpdate::SnapshotBegin("start".to_owned());
    let end = FactUpdate::SnapshotEnd(facts.len() as u64);
    [begin].into_iter().chain(facts).chain([end]).collect()
}

pub(in super::super) fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn model(facts: Vec<FactUpdate>) -> Model {
    let mut model = Model::new("the collector".to_owned(), true);
    model.take(snapshot(facts));
    model.tick(at(0));
    model
}

/// Binaries as they are shown, and CPUs in percent.
fn shown(model: &Model) -> Vec<(&str, Option<i64>)> {
    let percent = |rate: f64| format!("{:.0}", rate * 100.0).parse().expect("a number");
    let rows = model.rows.iter();
    rows.map(|row| (row.fact.fact.key.binary.as_str(), row.rate.map(percent)))
        .collect()
}

#[test]
fn rates_are_of_the_time_since_the_last_refresh() {
    let mut model = model(vec![
        fact("n1", "/a", 1, 1000),
        fact("n1", "/b", 1, 90_000),
        fact("n1", "/gone", 0, 5000),
    ]);
    assert!(model.is_complete);
    // Nothing to compare with yet: what took most so far comes first.
    assert_eq!(shown(&model), [("/b", None), ("/a", None)]);
    model.take(vec![
        fact("n1", "/a", 1, 4000),
        fact("n1", "/b", 1, 90_100),
        fact("n1", "/new", 1, 500),
        // Ended, and took something before.
        fact("n1", "/gone", 0, 6000),
    ]);
    model.tick(at(2));
    let expected = [
        ("/a", Some(150)),
        ("/gone", Some(50)),
        ("/b", Some(5)),
        ("/new", None),
    ];
    assert_eq!(shown(&model), expected);
    assert_eq!(model.totals(), (2.05, 3));
    // A store that was put back.
    model.take(vec![fact("n1", "/a", 1, 10)]);
    model.tick(at(4));
    let expected = [("/b", Some(0)), ("/new", Some(0)), ("/a", None)];
    assert_eq!(shown(&model), expected);
}

#[test]
fn what_is_gone_is_not_shown() {
    let mut model = model(vec![fact("n1", "/a", 1, 1), fact("n2", "/b", 1, 1)]);
    let name = model.rows[0].name.clone();
    model.take(vec![FactUpdate::Removed(name)]);
    model.tick(at(1));
    assert_eq!(shown(&model), [("/b", Some(0))]);
    // A new stream tells all that there is.
    model.away("refused".to_owned());
    model.take(snapshot(vec![fact("n3", "/c", 1, 1)]));
    assert_eq!(model.away, None);
    model.tick(at(2));
    assert_eq!(shown(&model), [("/c", None)]);
}

#[test]
fn the_same_thing_stays_chosen_wherever_it_moves() {
    let mut model = model(
        (0..30)
            .map(|i| fact("n1", &format!("/{i:02}"), 1, 1000 - i))
            .collect(),
    );
    assert_eq!(model.chosen(), None);
    for (key, chosen) in [
        (Key::Up, 0),
        (Key::Up, 0),
        (Key::Down, 1),
        (Key::PageDown, 11),
        (Key::Last, 29),
        (Key::PageDown, 29),
        (Key::PageUp, 19),
        (Key::First, 0),
        (Key::Down, 1),
    ] {
        model.press(key);
        assert_eq!(model.chosen(), Some(chosen), "{key:?}");
    }
    assert!(!model.has_details);
    model.press(Key::Details);
    assert_eq!((model.has_details, model.chosen()), (true, Some(1)));
    model.take(vec![fact("n1", "/29", 1, 9000)]);
    model.tick(at(1));
    assert_eq!(model.chosen(), Some(2), "one went above it");
    let name = model.chosen.clone().expect("chosen");
    model.take(vec![FactUpdate::Removed(name)]);
    model.tick(at(2));
    assert_eq!(model.chosen(), None);
    model.press(Key::Details);
    assert_eq!((model.has_details, model.chosen()), (true, Some(0)));
}

#[test]
fn it_is_sorted_as_asked() {
    let mut model = model(vec![
        fact("n1", "/b", 1, 50),
        fact("n1", "/a", 9, 10),
        fact("n1", "/c", 4, 30),
    ]);
    model.take(vec![fact("n1", "/c", 4, 40)]);
    model.tick(at(1));
    for (order, expected) in [
        (Order::Rate, ["/c", "/b", "/a"]),
        (Order::Cpu, ["/b", "/c", "/a"]),
        (Order::Alive, ["/a", "/c", "/b"]),
        (Order::Name, ["/a", "/b", "/c"]),
    ] {
        assert_eq!(model.order, order);
        let binaries: Vec<_> = shown(&model)
            .into_iter()
            .map(|(binary, _)| binary)
            .collect();
        assert_eq!(binaries, expected, "{order:?}");
        model.press(Key::Sort);
    }
    assert_eq!(model.order, Order::Rate);
}

#[test]
fn paused_it_stands_still() {
    let mut model = model(vec![fact("n1", "/a", 1, 0)]);
    model.press(Key::Pause);
    model.take(vec![fact("n1", "/a", 1, 1000), fact("n1", "/b", 1, 0)]);
    model.tick(at(1));
    assert_eq!(shown(&model), [("/a", None)]);
    model.press(Key::Pause);
    model.tick(at(4));
    assert_eq!(shown(&model), [("/a", Some(25)), ("/b", None)]);
}

#[test]
fn keys_mean_what_the_last_line_says() {
    let plain = |code| Key::of(KeyEvent::new(code, KeyModifiers::NONE));
    let control = |code| Key::of(KeyEvent::new(code, KeyModifiers::CONTROL));
    for (key, expected) in [
        (plain(KeyCode::Char('q')), Some(Key::Quit)),
        (control(KeyCode::Char('c')), Some(Key::Quit)),
        (control(KeyCode::Char('s')), None),
        (plain(KeyCode::Char('s')), Some(Key::Sort)),
        (plain(KeyCode::Enter), Some(Key::Details)),
        (plain(KeyCode::Esc), Some(Key::Back)),
        (plain(KeyCode::Char('x')), None),
    ] {
        assert_eq!(key, expected);
    }
}
