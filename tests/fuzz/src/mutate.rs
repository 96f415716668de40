//! Inputs made of other inputs, by chance that a seed repeats.

use persist_test_utils::Rng;

/// Numbers at which something may change, as text.
const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "-1",
    "2",
    "255",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551614",
    "18446744073709551615",
    "18446744073709551616",
];
/// What means something to one of the targets.
const WORDS: [&str; 28] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "null",
    "true",
    "1e400",
    "-0",
    "\n",
    "\0",
    "\u{1e}\n",
    ",\"synced\":",
    ",\"batch\":\"1/2\"",
    ",\"op\":\"remove\"",
    "{\"op\":\"lost\",\"from\":1,\"to\":2",
    ",\"at\":\"",
    "../",
    "2024-02-29",
    "T24:00",
    "+23:59:59",
    ".999999999",
];

/// Changes an input in one to eight places, to at most `most` bytes. `others` are inputs to take pieces of.
pub fn mutate(input: &mut Vec<u8>, others: &[Vec<u8>], most: usize, rng: &mut Rng) {
    for _ in 0..=length(3, rng) {
        change(input, others, rng);
    }
    input.truncate(most);
}

/// A length below two to the power of `bits`, more often a short one.
fn length(bits: u64, rng: &mut Rng) -> usize {
    let bits = rng.below(bits + 1);
    rng.index(1 << bits)
}

fn change(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.index(input.len() + 1);
    let end = (at + length(11, rng)).min(input.len());
    match rng.below(12) {
        0 if at < input.len() => input[at] ^= 1 << rng.below(8),
        1 if at < input.len() => input[at] = rng.next_u64() as u8,
        2 => drop(input.drain(at..end)),
        3 => {
            let piece = input[at..end].to_vec();
            let to = rng.index(input.len() + 1);
            input.splice(to..to, piece);
        }
        4 => {
            let piece = input[at..end].to_vec();
            let to = rng.index(input.len() + 1 - piece.len());
            input[to..to + piece.len()].copy_from_slice(&piece);
        }
        5 => drop(input.splice(at..at, rng.pick(&WORDS).bytes())),
        6 => input[at..end].fill(*rng.pick(&[0, 0xFF, b'\n', b'a', b'9'])),
        7 if !others.is_empty() => {
            let other = rng.pick(others);
            let from = rng.index(other.len() + 1);
            let to = (from + length(11, rng)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        8 => input.truncate(at),
        9 => swap_lines(input, rng),
        _ => other_number(input, at, rng),
    }
}

/// Puts a number in the place of the next one, or counts that one up or down.
fn other_number(input: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let end = input[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(input.len(), |found| start + found);
    let present = std::str::from_utf8(&input[start..end]).unwrap().parse::<u64>().unwrap_or(0);
    let number = match rng.below(3) {
        0 => present.saturating_add(1).to_string(),
        1 => present.saturating_sub(1).to_string(),
        _ => (*rng.pick(&NUMBERS)).to_owned(),
    };
    input.splice(start..end, number.into_bytes());
}

fn swap_lines(input: &mut Vec<u8>, rng: &mut Rng) {
    let mut lines: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (one, other) = (rng.index(lines.len()), rng.index(lines.len()));
    lines.swap(one, other);
    *input = lines.join(&b'\n');
}
