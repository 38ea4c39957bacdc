//! A segment of the agent's spool. Whatever is read is the same when it is written and read again.
#![no_main]

use archtrace_sink::spool::segment::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok((header, mut reader)) = Reader::new(bytes) else {
        return;
    };
    let mut again = header.encode();
    let mut frames = Vec::new();
    let mut position = reader.position();
    while let Ok(Some(frame)) = reader.next_frame() {
        assert!(reader.position() > position && reader.position() <= bytes.len());
        position = reader.position();
        again.extend(frame.encode());
        frames.push(frame);
    }
    // What is damaged stays damaged.
    let end = reader.next_frame();
    assert_eq!(end, reader.next_frame());
    let (same, mut reader) = Reader::new(&again).expect("was written");
    assert_eq!(same, header);
    for frame in frames {
        assert_eq!(reader.next_frame(), Ok(Some(frame)));
    }
    assert_eq!(reader.next_frame(), Ok(None));
});
