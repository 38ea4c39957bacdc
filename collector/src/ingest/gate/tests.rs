use std::time::Duration;

use archtrace_proto::v1;
use archtrace_proto::v1::sync_request::Message as Request;
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::prelude::*;
use tokio::time::timeout;

use super::*;

/// A message of about that many bytes.
fn request(length: usize) -> SyncRequest {
    let beat = v1::Heartbeat {
        digest: vec![7; length],
        ..v1::Heartbeat::default()
    };
    SyncRequest {
        message: Some(Request::Heartbeat(beat)),
    }
}

fn framed(request: &SyncRequest) -> Vec<u8> {
    let bytes = request.encode_to_vec();
    let length = u32::try_from(bytes.len()).expect("short");
    [&[0], &length.to_be_bytes()[..], &bytes].concat()
}

fn inbox(room: &Room, bytes: &[u8], cut: usize) -> Inbox {
    let frames: Vec<_> = bytes
        .chunks(cut)
        .map(|chunk| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(chunk))))
        .collect();
    Inbox::new(room, Body::new(StreamBody::new(tokio_stream::iter(frames))))
}

proptest! {
    #[test]
    fn messages_are_the_same_however_they_are_cut(
        lengths in prop::collection::vec(0..3 * SMALL, 0..6),
        cut in 1..2 * SMALL,
        lost in 0_usize..10,
    ) {
        let requests: Vec<_> = lengths.into_iter().map(request).collect();
        let mut bytes: Vec<u8> = requests.iter().flat_map(framed).collect();
        let whole = bytes.len();
        bytes.truncate(whole.saturating_sub(lost));
        let complete = bytes.len() == whole;
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut inbox = inbox(&Room::default(), &bytes, cut);
        for request in &requests[..requests.len() - usize::from(!complete)] {
            let got = runtime.block_on(inbox.message()).expect("it is whole").expect("there is one");
            prop_assert_eq!(&got.0, request);
            prop_assert_eq!(got.1.is_some(), request.encoded_len() > SMALL);
        }
        match runtime.block_on(inbox.message()) {
            Ok(end) => prop_assert!(end.is_none() && complete),
            Err(status) => prop_assert!(!complete && status.message().contains("in the middle")),
        }
    }
}

#[tokio::test]
async fn a_large_message_waits_for_room_and_a_small_one_does_not() {
    let large = framed(&request(SMALL));
    let room = Room(Arc::new(Semaphore::new(large.len() + 10)));
    let all = large.len() + 10;
    let small = framed(&request(1));
    let mut one = inbox(&room, &large, 1000);
    let mut two = inbox(&room, &[small, large].concat(), 1000);
    let first = one.message().await.expect("whole").expect("there is one");
    assert!(room.0.available_permits() < all);
    let passes = two.message().await.expect("whole").expect("there is one");
    assert!(passes.1.is_none());
    let waits = timeout(Duration::from_millis(50), two.message()).await;
    waits.expect_err("there is no room");
    let gate = Gate::default();
    gate.hold(first.1);
    gate.release();
    let next = two.message().await.expect("whole").expect("there is one");
    drop(next);
    assert_eq!(room.0.available_permits(), all);
}
