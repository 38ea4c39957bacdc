//! How messages become bytes: as `tonic_prost::ProstCodec` does it, with buffers that start small.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{self, BufferSettings};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// What a stream's two buffers are at first; they grow with the messages. A heartbeat and its answer fit,
/// and that is all that most streams say most of the time: tonic's 8 kB each are 160 MB for 10,000 agents.
const BUFFER: usize = 512;

/// As in tonic: when so much is ready, it is sent.
const YIELD_THRESHOLD: usize = 32 << 10;

/// The codec of the generated clients and servers.
#[derive(Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(BUFFER, YIELD_THRESHOLD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(BUFFER, YIELD_THRESHOLD))
    }
}
