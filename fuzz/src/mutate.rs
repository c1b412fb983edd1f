//! Mutation without coverage: what tends to break parsers, applied a few times per input.
//! Owns the random numbers (a seed gives the same inputs again); knows no format.

/// Values that sit on edges.
const EDGES: &[u64] = &[
    0,
    1,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];
/// Text that means something to one parser or another.
const WORDS: &[&str] = &[
    "../",
    "/",
    "..",
    ".wh.",
    ".wh..wh..opq",
    "\0",
    "\"",
    "\\u0000",
    "{",
    "}",
    "[[[[",
    "-1",
    "1e999",
    "null",
    "true",
    "99999999999999999999",
    "sha256:",
    "@",
    ":",
    "%2e%2e",
    "\u{feff}",
    "ä",
    "\r\n",
    "\n",
    " ",
    "7777777777",
];

/// Makes inputs out of seeds.
pub struct Mutator {
    state: u64,
    length_max: usize,
}

impl Mutator {
    /// Inputs are at most `length_max` bytes long.
    pub fn new(seed: u64, length_max: usize) -> Mutator {
        Mutator {
            state: seed | 1,
            length_max,
        }
    }

    /// A damaged copy of one of `seeds`.
    pub fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = match seeds.len() {
            0 => Vec::new(),
            count => seeds[self.below(count)].clone(),
        };
        for _ in 0..=self.below(6) {
            self.damage(&mut input, seeds);
        }
        input.truncate(self.length_max);
        input
    }

    fn damage(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let rest = input.len() - at;
        match self.below(9) {
            0 if rest > 0 => input[at] ^= 1 << self.below(8),
            1 if rest > 0 => input[at] = self.byte(),
            2 => input.insert(at, self.byte()),
            3 if rest > 0 => {
                let length = 1 + self.below(rest.min(64));
                input.drain(at..at + length);
            }
            4 => input.truncate(at),
            5 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at, word.bytes());
            }
            6 if rest > 0 => self.edge(input, at),
            7 if rest > 0 => {
                let length = 1 + self.below(rest.min(256));
                let copy = input[at..at + length].repeat(1 + self.below(8));
                input.splice(at..at, copy);
            }
            _ => self.splice(input, at, seeds),
        }
    }

    /// Writes a number from an edge over what is there.
    fn edge(&mut self, input: &mut [u8], at: usize) {
        let value = EDGES[self.below(EDGES.len())];
        let bytes = if self.below(2) == 0 {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        };
        let width = [1, 2, 4, 8][self.below(4)];
        for (place, byte) in input[at..].iter_mut().take(width).zip(bytes) {
            *place = byte;
        }
    }

    /// Continues with the tail of another seed.
    fn splice(&mut self, input: &mut Vec<u8>, at: usize, seeds: &[Vec<u8>]) {
        let Some(other) = (!seeds.is_empty()).then(|| &seeds[self.below(seeds.len())]) else {
            return;
        };
        let from = self.below(other.len() + 1);
        input.truncate(at);
        input.extend_from_slice(&other[from..]);
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("lengths fit");
        usize::try_from(self.next() % bound).expect("it is below a length")
    }

    /// xorshift64*: small, and good enough to choose bytes.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_inputs_again() {
        let seeds = vec![b"{\"a\": 1}".to_vec(), vec![0; 512]];
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed, 1000);
            (0..200).map(|_| mutator.mutate(&seeds)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(9));
        assert!(inputs(7).iter().all(|input| input.len() <= 1000));
    }

    #[test]
    fn nothing_to_start_from_is_fine() {
        let mut mutator = Mutator::new(3, 100);
        for _ in 0..1000 {
            mutator.mutate(&[]);
        }
    }
}
