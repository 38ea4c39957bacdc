//! A container runtime that does what a test wants: only here can one hang or lie on purpose.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use archtrace_cri::v1;
use archtrace_cri::v1::image_service_server::{ImageService, ImageServiceServer};
use archtrace_cri::v1::runtime_service_server::{RuntimeService, RuntimeServiceServer};
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// What there is, and what goes wrong.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) sandboxes: HashMap<String, v1::PodSandbox>,
    pub(crate) containers: HashMap<String, v1::ContainerStatus>,
    /// Which sandbox a container is in.
    pub(crate) homes: HashMap<String, String>,
    pub(crate) images: HashMap<String, (v1::Image, String)>,
    /// Calls are never answered.
    pub(crate) hangs: bool,
    /// Calls for containers are refused.
    pub(crate) fails: bool,
    /// Calls for containers so far.
    pub(crate) calls: usize,
}

/// The runtime; what it knows outlives its server.
#[derive(Clone)]
pub(crate) struct Fake {
    world: Arc<Mutex<World>>,
    pub(crate) socket: PathBuf,
}

/// Ends when it is dropped, and its connections with it.
pub(crate) struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a server");
        }
    }
}

impl Fake {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            world: Arc::default(),
            socket: directory.join("cri.sock"),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no test has failed")
    }

    /// Runs it on a thread of its own, so that everything of it ends at once.
    pub(crate) fn start(&self) -> Running {
        let _ = std::fs::remove_file(&self.socket);
        let listener = std::os::unix::net::UnixListener::bind(&self.socket).expect("a socket");
        listener.set_nonblocking(true).expect("it can be");
        let (stop, stopped) = oneshot::channel();
        let fake = self.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("an event loop");
            runtime.block_on(async {
                let listener = UnixListener::from_std(listener).expect("a listener");
                let server = Server::builder()
                    .add_service(RuntimeServiceServer::new(fake.clone()))
                    .add_service(ImageServiceServer::new(fake))
                    .serve_with_incoming(UnixListenerStream::new(listener));
                tokio::select! {
                    ended = server => ended.expect("a server"),
                    _ = stopped => {}
                }
            });
        });
        Running {
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A pod, its sandbox called `sandbox`.
    pub(crate) fn pod(&self, sandbox: &str, name: &str, uid: &str, labels: &[(&str, &str)]) {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let mut labels: HashMap<_, _> = labels.iter().map(own).collect();
        labels.insert("io.kubernetes.pod.uid".to_owned(), uid.to_owned());
        let sandbox = v1::PodSandbox {
            id: sandbox.to_owned(),
            metadata: Some(v1::PodSandboxMetadata {
                name: name.to_owned(),
                namespace: "pay".to_owned(),
                uid: uid.to_owned(),
                attempt: 0,
            }),
            labels,
            ..v1::PodSandbox::default()
        };
        self.world().sandboxes.insert(sandbox.id.clone(), sandbox);
    }

    /// A running container of the image `image`.
    pub(crate) fn container(&self, id: &str, sandbox: &str, name: &str, attempt: u32, image: &str) {
        let container = v1::ContainerStatus {
            id: id.to_owned(),
            metadata: Some(v1::ContainerMetadata {
                name: name.to_owned(),
                attempt,
            }),
            state: v1::ContainerState::ContainerRunning.into(),
            image: Some(v1::ImageSpec {
                image: "registry/api:1".to_owned(),
                ..v1::ImageSpec::default()
            }),
            image_ref: image.to_owned(),
            ..v1::ContainerStatus::default()
        };
        let mut world = self.world();
        world.homes.insert(id.to_owned(), sandbox.to_owned());
        world.containers.insert(id.to_owned(), container);
    }

    pub(crate) fn exit(&self, id: &str, code: i32, reason: &str) {
        let mut world = self.world();
        let container = world.containers.get_mut(id).expect("it was made");
        container.state = v1::ContainerState::ContainerExited.into();
        container.exit_code = code;
        container.reason = reason.to_owned();
    }

    pub(crate) fn image(&self, id: &str, architecture: &str) {
        let info = serde_json::json!({"imageSpec": {"architecture": architecture, "os": "linux",
            "config": {"Env": ["PATH=/bin", "KEY=secret"], "Entrypoint": ["api", "--secret"]}}});
        let image = v1::Image {
            id: id.to_owned(),
            repo_tags: vec!["registry/api:1".to_owned()],
            ..v1::Image::default()
        };
        let told = (image, info.to_string());
        self.world().images.insert(id.to_owned(), told);
    }

    async fn answer<A>(
        &self,
        answer: impl FnOnce(&mut World) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        let hangs = self.world().hangs;
        if hangs {
            return std::future::pending().await;
        }
        answer(&mut self.world()).map(Response::new)
    }

    async fn count<A>(
        &self,
        answer: impl FnOnce(&World) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        self.answer(|world| {
            world.calls += 1;
            if world.fails {
                return Err(Status::internal("it fails"));
            }
            answer(world)
        })
        .await
    }
}

fn unknown() -> Status {
    Status::not_found("an error occurred: not found")
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RuntimeService for Fake {
    async fn version(&self, _: Request<v1::VersionRequest>) -> Answer<v1::VersionResponse> {
        self.answer(|_| {
            Ok(v1::VersionResponse {
                runtime_name: "fake".to_owned(),
                runtime_version: "1.0".to_owned(),
                ..v1::VersionResponse::default()
            })
        })
        .await
    }

    async fn list_containers(
        &self,
        request: Request<v1::ListContainersRequest>,
    ) -> Answer<v1::ListContainersResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        self.count(|world| {
            let home = |id: &str| world.homes.get(id).cloned().unwrap_or_default();
            let containers = (world.containers.values())
                .filter(|told| filter.id.is_empty() || told.id.starts_with(&filter.id))
                .filter(|told| {
                    filter.pod_sandbox_id.is_empty() || home(&told.id) == filter.pod_sandbox_id
                })
                .cloned()
                .map(|told| v1::Container {
                    pod_sandbox_id: home(&told.id),
                    id: told.id,
                    metadata: told.metadata,
                    // As containerd 1.6 does.
                    image: Some(v1::ImageSpec {
                        image: told.image_ref.clone(),
                        ..v1::ImageSpec::default()
                    }),
                    image_ref: told.image_ref,
                    state: told.state,
                    ..v1::Container::default()
                })
                .collect();
            Ok(v1::ListContainersResponse { containers })
        })
        .await
    }

    async fn container_status(
        &self,
        request: Request<v1::ContainerStatusRequest>,
    ) -> Answer<v1::ContainerStatusResponse> {
        let request = request.into_inner();
        assert!(!request.verbose, "that would tell the environment");
        self.count(|world| {
            let status = world.containers.get(&request.container_id).cloned();
            let status = Some(status.ok_or_else(unknown)?);
            Ok(v1::ContainerStatusResponse { status })
        })
        .await
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<v1::ListPodSandboxRequest>,
    ) -> Answer<v1::ListPodSandboxResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        self.answer(|world| {
            let matches = |told: &&v1::PodSandbox| {
                let mut wanted = filter.label_selector.iter();
                wanted.all(|(key, value)| told.labels.get(key) == Some(value))
            };
            let items = world.sandboxes.values().filter(matches).cloned().collect();
            Ok(v1::ListPodSandboxResponse { items })
        })
        .await
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<v1::PodSandboxStatusRequest>,
    ) -> Answer<v1::PodSandboxStatusResponse> {
        let id = request.into_inner().pod_sandbox_id;
        self.answer(|world| {
            let told = world.sandboxes.get(&id).cloned().ok_or_else(unknown)?;
            let status = Some(v1::PodSandboxStatus {
                id: told.id,
                metadata: told.metadata,
                labels: told.labels,
                ..v1::PodSandboxStatus::default()
            });
            Ok(v1::PodSandboxStatusResponse { status })
        })
        .await
    }

    async fn run_pod_sandbox(
        &self,
        _: Request<v1::RunPodSandboxRequest>,
    ) -> Answer<v1::RunPodSandboxResponse> {
        panic!("the agent only reads")
    }
    async fn stop_pod_sandbox(
        &self,
        _: Request<v1::StopPodSandboxRequest>,
    ) -> Answer<v1::StopPodSandboxResponse> {
        panic!("the agent only reads")
    }
    async fn remove_pod_sandbox(
        &self,
        _: Request<v1::RemovePodSandboxRequest>,
    ) -> Answer<v1::RemovePodSandboxResponse> {
        panic!("the agent only reads")
    }
    async fn create_container(
        &self,
        _: Request<v1::CreateContainerRequest>,
    ) -> Answer<v1::CreateContainerResponse> {
        panic!("the agent only reads")
    }
    async fn start_container(
        &self,
        _: Request<v1::StartContainerRequest>,
    ) -> Answer<v1::StartContainerResponse> {
        panic!("the agent only reads")
    }
    async fn stop_container(
        &self,
        _: Request<v1::StopContainerRequest>,
    ) -> Answer<v1::StopContainerResponse> {
        panic!("the agent only reads")
    }
    async fn remove_container(
        &self,
        _: Request<v1::RemoveContainerRequest>,
    ) -> Answer<v1::RemoveContainerResponse> {
        panic!("the agent only reads")
    }
    async fn exec_sync(&self, _: Request<v1::ExecSyncRequest>) -> Answer<v1::ExecSyncResponse> {
        panic!("the agent only reads")
    }
}

#[tonic::async_trait]
impl ImageService for Fake {
    async fn list_images(
        &self,
        _: Request<v1::ListImagesRequest>,
    ) -> Answer<v1::ListImagesResponse> {
        panic!("each is asked for")
    }

    async fn image_status(
        &self,
        request: Request<v1::ImageStatusRequest>,
    ) -> Answer<v1::ImageStatusResponse> {
        let spec = request.into_inner().image.unwrap_or_default();
        self.answer(|world| {
            let told = world.images.get(&spec.image).cloned();
            let (image, info) = told.unzip();
            let info = info.map(|json| ("info".to_owned(), json));
            Ok(v1::ImageStatusResponse {
                image,
                info: info.into_iter().collect(),
            })
        })
        .await
    }
}
