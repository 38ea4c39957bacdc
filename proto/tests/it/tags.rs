//! What is told of tags comes back the same; whatever is missing or not known is an error.

use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::fleet::FleetImage;
use archtrace_facts::image::Image;
use archtrace_facts::platform::Platform;
use archtrace_facts::registry::{Check, DeployedTag, Listing, Problem, Trouble, User, Verdict};
use archtrace_proto::convert::ConvertError;
use archtrace_proto::v1;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn text() -> impl Strategy<Value = String> {
    "[ -~ж]{0,12}"
}

fn time() -> impl Strategy<Value = SystemTime> {
    any::<u64>().prop_map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos >> 1))
}

fn platform() -> impl Strategy<Value = Platform> {
    let words = ("[a-z]{1,9}", "[a-z0-9]{1,9}", "([a-z0-9]{1,4}(/v8)?)?");
    words.prop_map(|(os, arch, variant)| Platform { os, arch, variant })
}

fn told() -> impl Strategy<Value = Result<Listing, Problem>> {
    let listing = (any::<bool>(), text(), vec(platform(), 0..4));
    let problem = (select(Trouble::ALL), text());
    prop_oneof![
        listing.prop_map(|(is_index, digest, platforms)| Ok(Listing {
            is_index,
            digest,
            platforms
        })),
        problem.prop_map(|(trouble, message)| Err(Problem { trouble, message })),
    ]
}

prop_compose! {
    fn check()(reference in text(), checked_at in of(time()), told in told()) -> Check {
        Check { reference, checked_at, told }
    }
}

prop_compose! {
    fn user()(texts in [text(), text(), text()]) -> User {
        let [cluster, namespace, workload] = texts;
        User { cluster, namespace, workload }
    }
}

prop_compose! {
    fn tag()(
        texts in [text(), text()],
        verdict in select(Verdict::ALL),
        check in check(),
        users in vec(user(), 0..3),
        more_users: u64,
        nodes in vec((select(&[Arch::Amd64, Arch::Arm64][..]), any::<u64>()), 0..3),
        node_names in vec(text(), 0..3),
    ) -> DeployedTag {
        let [reference, why] = texts;
        DeployedTag { reference, verdict, why, check, users, more_users, nodes, node_names }
    }
}

proptest! {
    #[test]
    fn tags_come_back(tag in tag()) {
        let message = v1::DeployedTag::from(&tag);
        prop_assert_eq!(DeployedTag::try_from(message), Ok(tag));
    }

    #[test]
    fn images_come_back_with_what_registries_have(registry in vec(check(), 0..3), last_seen in time()) {
        let image = Image { id: "sha256:1".to_owned(), ..Image::default() };
        let image = FleetImage { image, nodes: Vec::new(), last_seen, registry };
        let message = v1::FleetImage::from(&image);
        prop_assert_eq!(FleetImage::try_from(message), Ok(image));
    }
}

#[test]
fn what_is_missing_or_too_much_is_told() {
    let refused = |change: fn(&mut v1::TagCheck), part: &str| {
        let mut check = v1::TagCheck::from(&Check::without("x", Trouble::Gone, "y"));
        change(&mut check);
        let told: Result<Check, ConvertError> = check.try_into();
        let told = told.expect_err(part).to_string();
        assert!(told.contains(part), "{part}: {told}");
    };
    refused(|check| check.told = None, "told: is missing");
    refused(|check| check.reference = "\u{1b}".to_owned(), "reference: ");
    refused(
        |check| {
            check.told = Some(v1::tag_check::Told::Problem(v1::TagProblem {
                trouble: "bored".to_owned(),
                message: String::new(),
            }));
        },
        "problem.trouble: 'bored' is no trouble with a registry",
    );
    refused(
        |check| {
            check.told = Some(v1::tag_check::Told::Listing(v1::TagListing {
                platforms: vec!["linux/amd64".to_owned(); Listing::MAX_PLATFORMS + 1],
                ..v1::TagListing::default()
            }));
        },
        "listing.platforms: has 101 elements",
    );
}
