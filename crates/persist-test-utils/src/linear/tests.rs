//! The checker accepts what is legal, refuses what is planted, and agrees with a check that tries every order.

use super::*;
use crate::Rng;

/// An operation that was answered.
fn op(start: u64, end: u64, call: Call, answer: Answer) -> Operation {
    Operation { call, answer: Some(answer), start, end }
}

/// An operation that a crash cut off.
fn lost(start: u64, end: u64, call: Call) -> Operation {
    Operation { call, answer: None, start, end }
}

const ABSENT: Option<Expect> = Some(Expect::Absent);

fn version(version: u32) -> Option<Expect> {
    Some(Expect::Version(version))
}

fn refused(present: Option<u32>) -> Answer {
    Answer::Refused(Conflict(present))
}

#[test]
fn what_one_thing_at_a_time_would_answer_is_accepted() {
    let legal: [&[Operation]; 5] = [
        &[],
        // The first of two that overlap may be either.
        &[
            op(0, 3, Call::Put(1, ABSENT), refused(Some(1))),
            op(1, 2, Call::Put(2, ABSENT), Answer::Put(1)),
            op(4, 5, Call::Get, Answer::Got(Some((1, 2)))),
        ],
        // A read during a put sees it or does not.
        &[
            op(0, 9, Call::Put(1, None), Answer::Put(1)),
            op(1, 2, Call::Get, Answer::Got(None)),
            op(3, 4, Call::Get, Answer::Got(Some((1, 1)))),
        ],
        // Versions count on over a removal.
        &[
            op(0, 1, Call::Put(1, None), Answer::Put(1)),
            op(2, 3, Call::Remove(version(1)), Answer::Removed(Some((1, 1)))),
            op(4, 5, Call::Remove(None), Answer::Removed(None)),
            op(6, 7, Call::Put(2, version(2)), refused(None)),
            op(8, 9, Call::Put(3, ABSENT), Answer::Put(3)),
        ],
        // Two compare and set on one version: one wins, and the other names the version that won.
        &[
            op(0, 1, Call::Put(1, None), Answer::Put(1)),
            op(2, 5, Call::Put(2, version(1)), refused(Some(2))),
            op(3, 4, Call::Put(3, version(1)), Answer::Put(2)),
        ],
    ];
    for history in legal {
        check(history).unwrap();
    }
}

#[test]
fn an_operation_without_an_answer_took_effect_by_its_end_or_never() {
    let put = op(0, 1, Call::Put(1, None), Answer::Put(1));
    let unanswered = lost(2, 4, Call::Put(2, version(1)));
    check(&[put, unanswered, op(5, 6, Call::Get, Answer::Got(Some((1, 1))))]).unwrap();
    check(&[put, unanswered, op(5, 6, Call::Get, Answer::Got(Some((2, 2))))]).unwrap();
    // It comes late: after somebody found that it had not happened.
    let late = [op(5, 6, Call::Get, Answer::Got(Some((1, 1)))), op(7, 8, Call::Get, Answer::Got(Some((2, 2))))];
    check(&[put, unanswered, late[0], late[1]]).unwrap_err();
    // It happened twice.
    let twice = op(7, 8, Call::Put(3, version(3)), Answer::Put(4));
    check(&[put, unanswered, twice]).unwrap_err();
    // It happened before it was asked for.
    check(&[put, op(2, 3, Call::Get, Answer::Got(Some((2, 2)))), lost(4, 5, Call::Put(2, None))]).unwrap_err();
}

#[test]
fn planted_errors_are_refused() {
    let put = op(0, 1, Call::Put(1, None), Answer::Put(1));
    let planted: [(&str, &[Operation]); 9] = [
        (
            "a stale read",
            &[put, op(2, 3, Call::Put(2, None), Answer::Put(2)), op(4, 5, Call::Get, Answer::Got(Some((1, 1))))],
        ),
        ("a read of nothing", &[put, op(2, 3, Call::Get, Answer::Got(None))]),
        (
            "two that found it absent",
            &[op(0, 3, Call::Put(1, ABSENT), Answer::Put(1)), op(1, 4, Call::Put(2, ABSENT), Answer::Put(1))],
        ),
        (
            "two that replaced one version",
            &[
                put,
                op(2, 5, Call::Put(2, version(1)), Answer::Put(2)),
                op(3, 4, Call::Put(3, version(1)), Answer::Put(2)),
            ],
        ),
        (
            "a lost update",
            &[put, op(2, 3, Call::Put(2, None), Answer::Put(2)), op(4, 5, Call::Put(3, None), Answer::Put(2))],
        ),
        ("a conflict with a version that never was", &[put, op(2, 3, Call::Put(2, version(7)), refused(Some(3)))]),
        ("a conflict with what would have fitted", &[put, op(2, 3, Call::Put(2, version(1)), refused(Some(1)))]),
        (
            "two that removed one record",
            &[
                put,
                op(2, 5, Call::Remove(None), Answer::Removed(Some((1, 1)))),
                op(3, 4, Call::Remove(None), Answer::Removed(Some((1, 1)))),
            ],
        ),
        (
            "reads that disagree about the order",
            &[
                op(0, 9, Call::Put(1, None), Answer::Put(1)),
                op(1, 2, Call::Get, Answer::Got(Some((1, 1)))),
                op(3, 4, Call::Get, Answer::Got(None)),
            ],
        ),
    ];
    for (what, history) in planted {
        let story = check(history).expect_err(what);
        assert!(story.contains("no order explains"), "{story}");
    }
}

/// A history of so many threads whose operations took effect at some moment within each.
fn legal(rng: &mut Rng, threads: u64, operations: u64) -> Vec<Operation> {
    let mut slot = Slot::default();
    let mut moments: Vec<(u64, u64, u64)> = Vec::new();
    let mut free = vec![0; threads as usize];
    for _ in 0..operations {
        let thread = rng.index(free.len());
        let start = free[thread] + rng.below(60);
        let effect = start + 1 + rng.below(60);
        let end = effect + 1 + rng.below(60);
        free[thread] = end + 1;
        moments.push((effect, start, end));
    }
    moments.sort_unstable();
    let mut history = Vec::new();
    for (value, (_, start, end)) in (1..).zip(moments) {
        let expect = match rng.below(4) {
            0 => Some(Expect::Absent),
            1 => Some(Expect::Version(slot.get().map_or(1, |(version, _)| version))),
            2 => Some(Expect::Version(1 + rng.below(4) as u32)),
            _ => None,
        };
        let call = match rng.below(8) {
            0..=4 => Call::Put(value, expect),
            5 => Call::Remove(expect),
            _ => Call::Get,
        };
        let happened = rng.chance(7, 8);
        let answer = if happened { Some(apply(call, &mut slot)) } else { None };
        let told = answer.filter(|_| rng.chance(7, 8));
        history.push(Operation { call, answer: told, start, end });
    }
    history
}

/// Tries every order and every choice of what never happened.
fn by_every_order(history: &[Operation]) -> bool {
    fn go(left: &mut Vec<Operation>, slot: &Slot<u64>) -> bool {
        if left.is_empty() {
            return true;
        }
        for at in 0..left.len() {
            let operation = left.remove(at);
            let comes_too_soon = left.iter().any(|other| other.end < operation.start);
            let mut after = slot.clone();
            let answer = apply(operation.call, &mut after);
            let fits = operation.answer.is_none_or(|given| given == answer);
            let found =
                !comes_too_soon && ((fits && go(left, &after)) || (operation.answer.is_none() && go(left, slot)));
            left.insert(at, operation);
            if found {
                return true;
            }
        }
        false
    }
    go(&mut history.to_vec(), &Slot::default())
}

#[test]
fn every_legal_history_is_accepted_and_changed_ones_as_trying_every_order_says() {
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..4_000 {
        let mut rng = Rng::new(seed);
        let (threads, operations) = (1 + rng.below(4), 1 + rng.below(6));
        let mut history = legal(&mut rng, threads, operations);
        check(&history).unwrap_or_else(|story| panic!("seed {seed}: {story}"));
        // Another answer, or two that were answered each other's.
        let (at, other) = (rng.index(history.len()), rng.index(history.len()));
        let answer = match rng.below(4) {
            0 => Some(Answer::Put(1 + rng.below(4) as u32)),
            1 => Some(Answer::Refused(Conflict(rng.coin().then(|| 1 + rng.below(4) as u32)))),
            2 => Some(Answer::Got(None)),
            _ => history[other].answer,
        };
        history[at].answer = answer;
        assert_eq!(check(&history).is_ok(), by_every_order(&history), "seed {seed}: {history:#?}");
        *(if check(&history).is_ok() { &mut accepted } else { &mut refused }) += 1;
    }
    assert!(accepted > 500 && refused > 500, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_long_history_of_eight_threads_is_decided_at_once() {
    for seed in 0..200 {
        let history = legal(&mut Rng::new(seed), 8, 64);
        check(&history).unwrap_or_else(|story| panic!("seed {seed}: {story}"));
    }
}
