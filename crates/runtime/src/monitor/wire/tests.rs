//! Frames there and back, and bytes that are none.

use super::*;
use proptest::prelude::*;

fn any_wants() -> impl Strategy<Value = Wants> {
    any::<u8>().prop_map(Wants::from_bits)
}

#[derive(Clone, Debug)]
enum Owned {
    Hello(u8, Wants),
    Stdin(Vec<u8>),
    StdinEof,
    Resize(u16, u16),
    Welcome(u8, Vec<u8>),
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    Exit(Vec<u8>),
}

impl Owned {
    fn frame(&self) -> Frame<'_> {
        match self {
            Owned::Hello(version, wants) => Frame::Hello {
                version: *version,
                wants: *wants,
            },
            Owned::Stdin(b) => Frame::Stdin(b),
            Owned::StdinEof => Frame::StdinEof,
            Owned::Resize(rows, cols) => Frame::Resize {
                rows: *rows,
                cols: *cols,
            },
            Owned::Welcome(version, b) => Frame::Welcome {
                version: *version,
                spawned: b,
            },
            Owned::Stdout(b) => Frame::Stdout(b),
            Owned::Stderr(b) => Frame::Stderr(b),
            Owned::Exit(b) => Frame::Exit(b),
        }
    }
}

fn any_frame() -> impl Strategy<Value = Owned> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        (any::<u8>(), any_wants()).prop_map(|(v, w)| Owned::Hello(v, w)),
        bytes().prop_map(Owned::Stdin),
        Just(Owned::StdinEof),
        (any::<u16>(), any::<u16>()).prop_map(|(r, c)| Owned::Resize(r, c)),
        (any::<u8>(), bytes()).prop_map(|(v, b)| Owned::Welcome(v, b)),
        bytes().prop_map(Owned::Stdout),
        bytes().prop_map(Owned::Stderr),
        bytes().prop_map(Owned::Exit),
    ]
}

proptest! {
    #[test]
    fn frames_survive_the_wire(frames in proptest::collection::vec(any_frame(), 0..20),
                               step in 1usize..400) {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.frame().encode(&mut bytes));
        let mut decoder = Decoder::new(step);
        let mut seen = 0;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let space = decoder.space();
            let count = space.len().min(step).min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            decoder.filled(count);
            while let Some(frame) = decoder.next().expect("own frames decode") {
                prop_assert_eq!(frame, frames[seen].frame());
                seen += 1;
            }
        }
        prop_assert_eq!(seen, frames.len());
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600),
                                 step in 1usize..700) {
        fuzz(&bytes, step);
    }

    #[test]
    fn almost_frames_never_panic(kind in 0u8..24, len in 0u32..70_000,
                                 bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut all = vec![kind];
        all.extend_from_slice(&len.to_be_bytes());
        all.extend_from_slice(&bytes);
        fuzz(&all, 7);
    }
}

#[test]
fn the_largest_frame_passes_and_one_more_byte_does_not() {
    let payload = vec![7; PAYLOAD_MAX];
    fuzz(&Frame::Stdout(&payload).to_vec(), 4096);
    let mut decoder = Decoder::new(64);
    let mut head = vec![STDOUT];
    head.extend_from_slice(&(PAYLOAD_MAX as u32 + 1).to_be_bytes());
    decoder.space()[..5].copy_from_slice(&head);
    decoder.filled(5);
    let len = PAYLOAD_MAX as u32 + 1;
    assert_eq!(
        decoder.next(),
        Err(WireError::TooLong { kind: STDOUT, len })
    );
}

#[test]
fn unknown_kinds_are_skipped() {
    let mut bytes = vec![200, 0, 0, 0, 2, 1, 2];
    Frame::StdinEof.encode(&mut bytes);
    let mut decoder = Decoder::default();
    decoder.space()[..bytes.len()].copy_from_slice(&bytes);
    decoder.filled(bytes.len());
    assert_eq!(decoder.next(), Ok(Some(Frame::Unknown(200))));
    assert_eq!(decoder.next(), Ok(Some(Frame::StdinEof)));
    assert_eq!(decoder.next(), Ok(None));
}
