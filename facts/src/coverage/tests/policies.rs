//! What a policy certifies, and what it lets pass.

use super::super::judge::tag;
use super::*;
use crate::policy::{Version, Waiver};

fn certified(versions: &[&str]) -> Agent {
    let version = |text: &&str| crate::policy::words::version(text).expect("a version");
    Agent {
        certified: Some([(Arch::Arm64, versions.iter().map(version).collect())].into()),
        ..agent()
    }
}

#[test]
fn versions_are_certified_by_tag_or_digest() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let by_digest = format!("r/falcon@{digest}");
    let both = format!("r/falcon:7.17@{digest}");
    for (versions, image, expected) in [
        (
            &["7.18"][..],
            "r:5000/falcon:7.18",
            "NATIVE runs natively, certified as tag 7.18",
        ),
        (
            &["7.17", "7.18*"],
            "falcon:7.18.1",
            "NATIVE runs natively, certified as tag 7.18*",
        ),
        (
            &["7.18"],
            "r/falcon:7.17",
            "UNCERTIFIED tag 7.17 is not certified for arm64",
        ),
        (
            &["7.18"],
            "r:5000/falcon",
            "UNCERTIFIED tag latest is not certified for arm64",
        ),
        (
            &["7.18"],
            &by_digest,
            "UNCERTIFIED its digest is not certified for arm64",
        ),
        (
            &["7.18"],
            "",
            "UNCERTIFIED runs outside of a container, or in one whose image is not known: so is its version",
        ),
    ] {
        assert_eq!(
            told(&certified(versions), ON, &[native(image)], &[]),
            expected,
            "{image}"
        );
    }
    let agent = certified(&["1", &digest]);
    let native_by_digest = format!("NATIVE runs natively, certified as {digest}");
    for image in [&by_digest, &both] {
        assert_eq!(told(&agent, ON, &[native(image)], &[]), native_by_digest);
    }
    // What the runtime knows the image by.
    let names = [by_digest.clone()];
    let named = |id: &str| if id == "sha256:77" { &names[..] } else { &[] };
    for (image_id, status) in [
        ("sha256:77", Status::Native),
        ("sha256:78", Status::Uncertified),
    ] {
        let seen = [Seen {
            image_id,
            ..native("r/falcon:2")
        }];
        assert_eq!(judge(&agent, ON, &seen, &[], &named, now()).status, status);
    }
    let amd64 = Asked {
        arch: Arch::Amd64,
        ..ON
    };
    assert_eq!(
        told(&agent, amd64, &[native("r/falcon:1")], &[]),
        "UNCERTIFIED no version is certified for amd64"
    );
    // Every container of it has to be.
    assert_eq!(
        told(
            &agent,
            ON,
            &[native("r/falcon:1"), native("r/sidecar:9")],
            &[]
        ),
        "UNCERTIFIED tag 9 is not certified for arm64"
    );
}

#[test]
fn waivers_let_pass_until_they_expire() {
    let waiver = |status: Option<Status>, names: &[&str], ends_in: i64| Waiver {
        owner: format!("{ends_in}"),
        reason: "r".to_owned(),
        expires: SystemTime::UNIX_EPOCH
            + Duration::from_secs((1_800_000_000 + ends_in).unsigned_abs()),
        nodes: Nodes {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Nodes::default()
        },
        statuses: status.into_iter().collect(),
    };
    let (seen, missing) = ([emulated(1, 0)], Some(Status::Missing));
    for (waivers, status, owner) in [
        (vec![], Status::Emulated, None),
        (vec![waiver(None, &[], 9)], Status::Waived, Some("9")),
        (vec![waiver(None, &["n*"], 9)], Status::Waived, Some("9")),
        (vec![waiver(None, &["m*"], 9)], Status::Emulated, None),
        (vec![waiver(missing, &[], 9)], Status::Emulated, None),
        // It is told that there was one.
        (vec![waiver(None, &[], 0)], Status::Emulated, Some("0")),
        (
            vec![
                waiver(None, &[], -5),
                waiver(None, &[], 7),
                waiver(None, &[], 9),
            ],
            Status::Waived,
            Some("7"),
        ),
    ] {
        let agent = Agent { waivers, ..agent() };
        let verdict = judge(&agent, ON, &seen, &[], &|_| &[], now());
        assert_eq!(verdict.status, status, "{agent:?}");
        let waived = (status == Status::Waived).then_some(Status::Emulated);
        assert_eq!(verdict.waived, waived);
        assert_eq!(verdict.waiver.map(|waiver| waiver.owner.as_str()), owner);
    }
    // What cannot be known cannot be waived.
    let agent = Agent {
        waivers: vec![waiver(None, &[], 9)],
        ..agent()
    };
    let stale = Asked {
        reports: Reports::Before,
        ..ON
    };
    assert_eq!(
        judge(&agent, stale, &[], &[], &|_| &[], now()).status,
        Status::Stale
    );
}

#[test]
fn tags_are_found_in_names() {
    for (image, expected) in [
        ("", None),
        ("falcon", Some("latest")),
        ("falcon:1", Some("1")),
        ("r:5000/falcon", Some("latest")),
        ("r:5000/falcon:1", Some("1")),
        ("r/falcon:1@sha256:00", Some("1")),
        ("r/falcon@sha256:00", None),
    ] {
        assert_eq!(tag(image), expected, "{image}");
    }
    assert!(matches!(
        crate::policy::words::version("x"),
        Ok(Version::Tag(_))
    ));
}
