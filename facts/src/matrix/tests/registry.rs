//! What registries say of images.

use super::*;
use crate::platform::Platform;
use crate::registry::{Listing, Trouble};

#[test]
fn what_a_registry_lacks_no_node_can_pull() {
    let listing = |archs: &[Arch]| Check {
        reference: "docker.io/reg/app:1".to_owned(),
        checked_at: Some(at(9)),
        told: Ok(Listing {
            is_index: true,
            digest: String::new(),
            platforms: archs.iter().copied().map(Platform::linux).collect(),
        }),
    };
    let both = || listing(&[Amd64, Arm64]);
    let one = || listing(&[Amd64]);
    let silent = || Check::without("docker.io/reg/app:1", Trouble::Denied, "no");
    let mislabelled = audited(Arm64, |audit| audit.main = Some(("/app".to_owned(), Amd64)));
    for (known, check, status, finding, why) in [
        (
            image(Arm64),
            both(),
            Status::Pass,
            "",
            "has a variant for arm64",
        ),
        (
            image(Arm64),
            one(),
            Status::Fix,
            "missing-platform",
            "its registry has no image for arm64 under this name",
        ),
        (
            image(Amd64),
            both(),
            Status::Gate,
            "",
            "its registry has a variant for arm64, which no node has pulled yet",
        ),
        // What could not be asked changes nothing.
        (
            image(Arm64),
            silent(),
            Status::Pass,
            "",
            "has a variant for arm64",
        ),
        (
            image(Amd64),
            silent(),
            Status::Gate,
            "",
            "nothing is known of its platforms",
        ),
        // What is wrong with what runs comes first.
        (
            mislabelled,
            one(),
            Status::Fix,
            "mislabelled-image",
            "not for the platform",
        ),
    ] {
        let asked = |reference: &str| {
            assert_eq!(reference, "reg/app:1");
            Some(Arc::new(check.clone()))
        };
        let seen = workload(vec![container("api", &[native(Arm64)])]);
        let matrix = decide(&seen, &images(&[known]), &asked, None, Arm64);
        let row = matrix.rows.iter().find(|row| row.layer == Layer::Image);
        let row = row.expect("a row");
        assert_eq!((row.status, &*row.finding), (status, finding), "{row:?}");
        assert!(row.why.contains(why), "{why}: {row:?}");
        let told = row.evidence.iter().filter(|shown| {
            shown.what == check.reference && shown.detail.starts_with("in the registry, ")
        });
        let is_told =
            finding != "mislabelled-image" && !(status == Status::Pass && check.told.is_err());
        assert_eq!(told.count(), usize::from(is_told), "{row:?}");
    }
}
