//! The calls.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

use crate::v1::image_service_client::ImageServiceClient;
use crate::v1::runtime_service_client::RuntimeServiceClient;
use crate::{Container, CriError, Image, Sandbox, v1};

/// How long an answer is waited for. The kubelet gives each two minutes (`runtimeRequestTimeout`); but
/// names may come later, and a runtime that answers at all does so in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer that is read. The kubelet takes 16 MiB (`maxMsgSize`, pkg/kubelet/cri/remote). Here
/// 110 pods (a kubelet's default) with three containers each, their labels and 4 KiB of annotations fit
/// several times over; a list that is longer is asked for piece by piece.
const MAX_ANSWER: usize = 4 << 20;

/// A connection to a container runtime: made at the first call, and again whenever it was lost.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
}

/// Which runtime answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Its name, such as `containerd` or `cri-o`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Client {
    /// A client of the runtime that listens on the unix socket at `path`. Nothing is connected yet.
    /// To be called within a runtime of tokio, which gets a task that ends with the last clone.
    ///
    /// # Errors
    /// A path that is not UTF-8.
    pub fn new(path: &Path) -> Result<Self, CriError> {
        let bad = || CriError::BadPath(path.to_owned());
        let text = path.to_str().ok_or_else(bad)?;
        let endpoint = Endpoint::from_shared(format!("unix://{text}")).map_err(|_| bad())?;
        let channel = endpoint.connect_timeout(PATIENCE).connect_lazy();
        Ok(Self {
            socket: path.to_owned(),
            patience: PATIENCE,
            runtime: RuntimeServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_ANSWER),
            images: ImageServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER),
        })
    }

    /// The same, with another deadline for each call.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Every call there is, those that change things too, without deadlines.
    #[cfg(feature = "kubelet")]
    #[must_use]
    pub fn runtime(&self) -> RuntimeServiceClient<Channel> {
        self.runtime.clone()
    }

    /// Which runtime answers.
    ///
    /// # Errors
    /// Like every call: whatever [`CriError`] tells.
    pub async fn version(&self) -> Result<Runtime, CriError> {
        let mut client = self.runtime.clone();
        let call = client.version(v1::VersionRequest::default());
        let told = self.answer("Version", call).await?;
        Ok(Runtime {
            name: told.runtime_name,
            version: told.runtime_version,
        })
    }

    /// All containers, those that have exited and are not removed yet too.
    ///
    /// # Errors
    /// Whatever [`CriError`] tells.
    pub async fn containers(&self) -> Result<Vec<Container>, CriError> {
        self.list(None).await
    }

    /// The container with this id, if the runtime knows it.
    ///
    /// # Errors
    /// Whatever [`CriError`] tells.
    pub async fn container(&self, id: &str) -> Result<Option<Container>, CriError> {
        let filter = v1::ContainerFilter {
            id: id.to_owned(),
            ..v1::ContainerFilter::default()
        };
        let found = self.list(Some(filter)).await?;
        // Runtimes take the beginning of an id too.
        Ok(found.into_iter().find(|container| container.id == id))
    }

    /// All containers of a sandbox.
    ///
    /// # Errors
    /// Whatever [`CriError`] tells.
    pub async fn containers_of(&self, sandbox: &str) -> Result<Vec<Container>, CriError> {
        let filter = v1::ContainerFilter {
            pod_sandbox_id: sandbox.to_owned(),
            ..v1::ContainerFilter::default()
        };
        self.list(Some(filter)).await
    }

    async fn list(&self, filter: Option<v1::ContainerFilter>) -> Result<Vec<Container>, CriError> {
        let mut client = self.runtime.clone();
        let call = client.list_containers(v1::ListContainersRequest { filter });
        let told = self.answer("ListContainers", call).await?;
        Ok(told.containers.into_iter().map(Container::from).collect())
    }

    /// How a container is, and how it ended. Never verbose: that would tell its arguments and
    /// environment.
    ///
    /// # Errors
    /// [`CriError::Unknown`] if it does not know the container, and whatever else can go wrong.
    pub async fn container_status(&self, id: &str) -> Result<Container, CriError> {
        let mut client = self.runtime.clone();
        let call = client.container_status(v1::ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: false,
        });
        let told = self.answer("ContainerStatus", call).await?;
        let status = told.status.ok_or_else(|| self.empty("ContainerStatus"))?;
        Ok(status.into())
    }

    /// All pods, those that are not ready and not removed yet too.
    ///
    /// # Errors
    /// Whatever [`CriError`] tells.
    pub async fn sandboxes(&self) -> Result<Vec<Sandbox>, CriError> {
        self.list_pods(None).await
    }

    /// The sandboxes of the pod with this UID; more than one if it got a new one.
    ///
    /// # Errors
    /// Whatever [`CriError`] tells.
    pub async fn sandboxes_of(&self, uid: &str) -> Result<Vec<Sandbox>, CriError> {
        // The kubelet labels what it makes (`KubernetesPodUIDLabel`, pkg/kubelet/types).
        let label = ("io.kubernetes.pod.uid".to_owned(), uid.to_owned());
        let filter = v1::PodSandboxFilter {
            label_selector: [label].into(),
            ..v1::PodSandboxFilter::default()
        };
        self.list_pods(Some(filter)).await
    }

    async fn list_pods(
        &self,
        filter: Option<v1::PodSandboxFilter>,
    ) -> Result<Vec<Sandbox>, CriError> {
        let mut client = self.runtime.clone();
        let call = client.list_pod_sandbox(v1::ListPodSandboxRequest { filter });
        let told = self.answer("ListPodSandbox", call).await?;
        Ok(told.items.into_iter().map(Sandbox::from).collect())
    }

    /// The pod with this sandbox.
    ///
    /// # Errors
    /// [`CriError::Unknown`] if it does not know the sandbox, and whatever else can go wrong.
    pub async fn sandbox_status(&self, id: &str) -> Result<Sandbox, CriError> {
        let mut client = self.runtime.clone();
        let call = client.pod_sandbox_status(v1::PodSandboxStatusRequest {
            pod_sandbox_id: id.to_owned(),
            verbose: false,
        });
        let told = self.answer("PodSandboxStatus", call).await?;
        let status = told.status.ok_or_else(|| self.empty("PodSandboxStatus"))?;
        Ok(status.into())
    }

    /// All images.
    ///
    /// # Errors
    /// Whatever [`CriError`] tells.
    pub async fn images(&self) -> Result<Vec<Image>, CriError> {
        let mut client = self.images.clone();
        let call = client.list_images(v1::ListImagesRequest::default());
        let told = self.answer("ListImages", call).await?;
        Ok(told.images.into_iter().map(Image::from).collect())
    }

    /// An image, by its id or by a name, and what its configuration says. `None` if the runtime does
    /// not have it.
    ///
    /// # Errors
    /// Whatever [`CriError`] tells.
    pub async fn image_status(&self, image: &str) -> Result<Option<Image>, CriError> {
        let found = self.image_called(image).await?;
        // CRI-O knows ids without the name of the hash.
        match image.strip_prefix("sha256:") {
            Some(digits) if found.is_none() => self.image_called(digits).await,
            _ => Ok(found),
        }
    }

    async fn image_called(&self, image: &str) -> Result<Option<Image>, CriError> {
        let mut client = self.images.clone();
        let call = client.image_status(v1::ImageStatusRequest {
            image: Some(v1::ImageSpec {
                image: image.to_owned(),
                ..v1::ImageSpec::default()
            }),
            verbose: true,
        });
        let told = self.answer("ImageStatus", call).await?;
        let info = told.info.into_values();
        Ok(told.image.map(|image| Image::with_info(image, info)))
    }

    async fn answer<A>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<A>, Status>>,
    ) -> Result<A, CriError> {
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.error(call, &status)),
            Err(_) => Err(CriError::Deadline {
                socket: self.shown(),
                call,
                patience: self.patience,
            }),
        }
    }

    fn error(&self, call: &'static str, status: &Status) -> CriError {
        let socket = self.shown();
        let reason = reason(status);
        match status.code() {
            Code::NotFound => CriError::Unknown {
                socket,
                call,
                reason,
            },
            Code::OutOfRange => CriError::TooLarge {
                socket,
                call,
                reason,
            },
            // A connection that breaks while an answer is on its way is told as unknown or cancelled.
            Code::Unavailable => CriError::Unreachable { socket, reason },
            _ if is_transport(status) => CriError::Unreachable { socket, reason },
            code => CriError::Refused {
                socket,
                call,
                code,
                reason,
            },
        }
    }

    fn empty(&self, call: &'static str) -> CriError {
        CriError::Refused {
            socket: self.shown(),
            call,
            code: Code::DataLoss,
            reason: "the answer is empty".to_owned(),
        }
    }

    fn shown(&self) -> String {
        self.socket.display().to_string()
    }
}

/// Whether it was not the peer that said so. What a peer says has no source.
fn is_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// What lies deepest says most: `No such file or directory` and not `transport error`.
fn reason(status: &Status) -> String {
    let mut deepest: Option<&dyn std::error::Error> = std::error::Error::source(status);
    while let Some(source) = deepest.and_then(std::error::Error::source) {
        deepest = Some(source);
    }
    deepest.map_or_else(|| status.message().to_owned(), ToString::to_string)
}
