//! Whether pods run natively.

use archtrace_facts::gate::{Question, Verified};
use archtrace_proto::v1;
use tonic::Request;

use super::Client;
use super::streams::Updates;
use crate::failure::Failure;

impl Client {
    /// What is known of pods so far, and in the end the answer. The other side has a moment longer for it
    /// than the watch goes on.
    pub(crate) async fn verify(
        &self,
        question: &Question,
    ) -> Result<Updates<v1::VerifyPodsResponse, Verified>, Failure> {
        let mut request = Request::new(v1::VerifyPodsRequest::from(question));
        request.set_timeout(question.duration + self.timeout);
        let mut query = self.query.clone();
        let messages = self.answer(query.verify_pods(request)).await?;
        Ok(self.updates(messages, |message| Verified::try_from(message).map(Some)))
    }
}
