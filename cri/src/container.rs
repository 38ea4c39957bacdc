//! What is asked about a container.

use std::collections::BTreeMap;

use crate::image::digest;
use crate::v1;

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its id, 64 hex digits.
    pub id: String,
    /// The sandbox of its pod; empty in what [`crate::Client::container_status`] says.
    pub sandbox_id: String,
    /// Its name within the pod.
    pub name: String,
    /// How often it was started before.
    pub attempt: u32,
    /// What it does now.
    pub state: State,
    /// When it was made, in nanoseconds since 1970.
    pub created_at: i64,
    /// The image as the pod asks for it, as far as the runtime tells; else what the kubelet made of it,
    /// which may be an id.
    pub image: String,
    /// The image's id, `sha256:` and 64 hex digits; empty if the runtime tells something else.
    pub image_id: String,
    /// How it ended; only from [`crate::Client::container_status`], and of one that has exited.
    pub exit: Option<Exit>,
    /// Its labels, which the kubelet made: `io.kubernetes.pod.name` and the like; only from
    /// [`crate::Client::container_status`].
    pub labels: BTreeMap<String, String>,
}

/// What a container does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Made, but not started yet.
    Created,
    /// Running.
    Running,
    /// Has run.
    Exited,
    /// The runtime does not know, or says something else.
    #[default]
    Unknown,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code; 128 and the number if a signal ended it.
    pub code: i32,
    /// Such as `Completed`, `Error`, `OOMKilled`, `StartError`; may be empty.
    pub reason: String,
    /// When, in nanoseconds since 1970; 0 if it never ran.
    pub finished_at: i64,
}

impl From<v1::Container> for Container {
    fn from(told: v1::Container) -> Self {
        let state = State::from(told.state());
        let metadata = told.metadata.unwrap_or_default();
        Self {
            id: told.id,
            sandbox_id: told.pod_sandbox_id,
            name: metadata.name,
            attempt: metadata.attempt,
            state,
            created_at: told.created_at,
            image: wanted(told.image.unwrap_or_default()),
            // containerd tells the id as `image_ref` here; CRI-O a digest there, and an id of its own
            // since `image_id` exists.
            image_id: digest(&told.image_id)
                .or_else(|| digest(&told.image_ref))
                .unwrap_or_default(),
            exit: None,
            labels: BTreeMap::new(),
        }
    }
}

impl From<v1::ContainerStatus> for Container {
    fn from(told: v1::ContainerStatus) -> Self {
        let state = State::from(told.state());
        let metadata = told.metadata.unwrap_or_default();
        let exit = (state == State::Exited).then_some(Exit {
            code: told.exit_code,
            reason: told.reason,
            finished_at: told.finished_at,
        });
        Self {
            id: told.id,
            sandbox_id: String::new(),
            name: metadata.name,
            attempt: metadata.attempt,
            state,
            created_at: told.created_at,
            image: wanted(told.image.unwrap_or_default()),
            image_id: digest(&told.image_id)
                .or_else(|| digest(&told.image_ref))
                .unwrap_or_default(),
            exit,
            labels: told.labels.into_iter().collect(),
        }
    }
}

impl From<v1::ContainerState> for State {
    fn from(told: v1::ContainerState) -> Self {
        match told {
            v1::ContainerState::ContainerCreated => Self::Created,
            v1::ContainerState::ContainerRunning => Self::Running,
            v1::ContainerState::ContainerExited => Self::Exited,
            v1::ContainerState::ContainerUnknown => Self::Unknown,
        }
    }
}

fn wanted(spec: v1::ImageSpec) -> String {
    if spec.user_specified_image.is_empty() {
        spec.image
    } else {
        spec.user_specified_image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a runtime tells, and the image and its id that follow.
    fn check(user: &str, image: &str, image_ref: &str, image_id: &str, expected: [&str; 2]) {
        let told = v1::Container {
            image: Some(v1::ImageSpec {
                image: image.to_owned(),
                user_specified_image: user.to_owned(),
                ..v1::ImageSpec::default()
            }),
            image_ref: image_ref.to_owned(),
            image_id: image_id.to_owned(),
            ..v1::Container::default()
        };
        let container = Container::from(told);
        assert_eq!([&*container.image, &*container.image_id], expected);
    }

    #[test]
    fn runtimes_name_images_in_their_own_ways() {
        let hex = "0".repeat(64);
        let id = format!("sha256:{hex}");
        let digest = format!("docker.io/library/nginx@sha256:{}", "f".repeat(64));
        // containerd, since and before Kubernetes 1.30.
        check("nginx:1", &id, &id, &id, ["nginx:1", &id]);
        check("nginx:1", &id, &id, "", ["nginx:1", &id]);
        // A client that is no kubelet.
        check("", "nginx:1", &id, "", ["nginx:1", &id]);
        // CRI-O.
        check("nginx:1", &hex, &digest, &hex, ["nginx:1", &id]);
        // A digest of a manifest is no id.
        check("nginx:1", &digest, &digest, "", ["nginx:1", ""]);
        check("", "", "", "", ["", ""]);
    }

    #[test]
    fn only_what_has_exited_has_an_exit_code() {
        for (state, ended) in [(0, false), (1, false), (2, true), (3, false), (99, false)] {
            let told = v1::ContainerStatus {
                state,
                exit_code: 137,
                reason: "OOMKilled".to_owned(),
                ..v1::ContainerStatus::default()
            };
            let expected = ended.then(|| Exit {
                code: 137,
                reason: "OOMKilled".to_owned(),
                finished_at: 0,
            });
            assert_eq!(Container::from(told).exit, expected, "state {state}");
        }
    }
}
