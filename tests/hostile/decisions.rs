//! Decisions as they lie in a guest's memory, laid out by the component model's rules.

use std::fmt::Write as _;

/// Where decisions are laid out.
const BASE: u32 = 16384;

/// A decision, and what it points to.
pub(super) struct Decision {
    bytes: Vec<u8>,
}

/// A part of a text.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// The whole reply with this number.
    Reply(u32),
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) agent: &'a str,
    pub(super) task: &'a str,
    pub(super) context: &'a [Piece<'a>],
    pub(super) format: &'a str,
    pub(super) continues: Option<u32>,
}

impl<'a> Ask<'a> {
    pub(super) fn new(agent: &'a str) -> Self {
        Self { agent, task: "Go on", context: &[], format: "text", continues: None }
    }
}

impl Decision {
    /// A success with this case, and room for what it holds.
    fn new(case: u8) -> Self {
        let mut bytes = vec![0; 64];
        bytes[4] = case;
        Self { bytes }
    }

    pub(super) fn ask(asks: &[Ask]) -> Self {
        let mut decision = Self::new(1);
        let mut list = Vec::new();
        for ask in asks {
            list.extend(decision.text(ask.agent));
            list.extend(decision.text(ask.task));
            list.extend(decision.pieces(ask.context));
            list.extend(decision.text(ask.format));
            list.extend([u32::from(ask.continues.is_some()), ask.continues.unwrap_or(0)]);
            list.extend(decision.text(""));
        }
        let list = decision.list(&list, asks.len());
        decision.set(8, list)
    }

    pub(super) fn answer_item(item: u32) -> Self {
        Self::new(2).set(8, [0, item])
    }

    pub(super) fn answer_text(pieces: &[Piece]) -> Self {
        let mut decision = Self::new(2);
        let [pointer, size] = decision.pieces(pieces);
        decision.set(8, [1, pointer]).set(16, [size])
    }

    pub(super) fn give_up(reason: &str) -> Self {
        let mut decision = Self::new(3);
        let reason = decision.text(reason);
        decision.set(8, reason)
    }

    /// To the responder.
    pub(super) fn speak(message: &[Piece]) -> Self {
        let mut decision = Self::new(0);
        let message = decision.pieces(message);
        decision.set(8, [1]).set(12, message)
    }

    pub(super) fn resolved(answer: &[Piece]) -> Self {
        let mut decision = Self::new(1);
        let answer = decision.pieces(answer);
        decision.set(8, answer)
    }

    pub(super) fn stop(reason: &str, answer: Option<&[Piece]>) -> Self {
        let mut decision = Self::new(2);
        let reason = decision.text(reason);
        let present = u32::from(answer.is_some());
        let answer = decision.pieces(answer.unwrap_or_default());
        decision.set(8, reason).set(16, [present]).set(20, answer)
    }

    /// The field of the module that holds it, and the address where it stands there; `nth`
    /// keeps several of one module apart.
    pub(super) fn place(&self, nth: u32) -> (String, String) {
        let base = BASE + nth * 8192;
        assert!(self.bytes.len() < 8192, "it does not fit");
        let mut bytes = self.bytes.clone();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        // Addresses within it are counted from its beginning until now.
        for at in (0..bytes.len()).step_by(4) {
            let word: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
            let word = u32::from_le_bytes(word);
            if word & MARK == MARK {
                bytes[at..at + 4].copy_from_slice(&(base + (word & !MARK)).to_le_bytes());
            }
        }
        let mut escaped = String::new();
        for byte in bytes {
            write!(escaped, "\\{byte:02x}").expect("a string");
        }
        let data = format!("(data (i32.const {base}) \"{escaped}\")");
        (data, format!("(i32.const {base})"))
    }

    fn set<const N: usize>(mut self, at: usize, words: [u32; N]) -> Self {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        self.bytes.splice(at..at + 4 * N, bytes);
        self
    }

    /// Puts the words behind what is there, as a list of so many elements.
    fn list(&mut self, words: &[u32], count: usize) -> [u32; 2] {
        self.align();
        let at = self.bytes.len();
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        [address(at), u32::try_from(count).expect("few")]
    }

    fn text(&mut self, text: &str) -> [u32; 2] {
        self.align();
        let at = self.bytes.len();
        self.bytes.extend(text.as_bytes());
        [address(at), u32::try_from(text.len()).expect("short")]
    }

    fn pieces(&mut self, pieces: &[Piece]) -> [u32; 2] {
        let mut list = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    let [pointer, size] = self.text(text);
                    list.extend([0, 0, pointer, size, 0, 0, 0, 0]);
                }
                // Its end is beyond every reply's.
                Piece::Reply(number) => list.extend([1, 0, *number, 0, 0, 0, 0, 1]),
            }
        }
        self.list(&list, pieces.len())
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
    }
}

/// No text of these tests has such words.
const MARK: u32 = 0xF0F0_0000;

fn address(at: usize) -> u32 {
    MARK + u32::try_from(at).expect("near")
}

/// A step that returns the first decision as long as `holds`, and then the second.
pub(super) fn first_then(holds: &str, first: &Decision, then: &Decision) -> (String, String) {
    let ((data, first), (more, then)) = (first.place(0), then.place(1));
    let body = format!("(if (result i32) {holds} (then {first}) (else {then}))");
    (body, data + &more)
}
