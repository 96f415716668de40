//! Each target over the committed inputs, and over a number of others made of them, the same in each run.
#![allow(clippy::unwrap_used, missing_docs)]

mod dense;

use std::ops::ControlFlow;

use persist_fuzz::{TARGETS, Target, corpus};

/// Runs a target so many times; `PERSIST_SEED` draws others.
fn withstands(target: &str, runs: u64) {
    let seed = std::env::var("PERSIST_SEED").map_or(1, |seed| seed.parse().unwrap());
    let target = Target::named(target).unwrap();
    corpus::run(target, seed, |done| if done < runs { ControlFlow::Continue(()) } else { ControlFlow::Break(()) });
}

#[test]
fn any_line_is_read_or_refused() {
    withstands("line", 100_000);
}

#[test]
fn any_segments_are_recovered_or_refused_and_all_that_is_left_out_is_reported() {
    withstands("segment", 1_000);
}

#[test]
fn any_kept_segment_keeps_no_store_from_opening() {
    withstands("kept", 1_000);
}

#[test]
fn a_file_of_any_name_keeps_no_log_from_going_on() {
    withstands("segment-name", 1_000);
}

#[test]
fn any_lock_file_tells_its_holder_or_nobody() {
    withstands("lock", 500);
}

#[test]
fn any_text_is_a_moment_or_none() {
    withstands("timestamp", 200_000);
}

#[test]
fn any_text_is_a_date_or_none() {
    withstands("date", 200_000);
}

#[test]
fn any_extra_schema_takes_what_it_says_or_refuses_it() {
    withstands("extra-schema", 50_000);
}

#[test]
fn any_json_is_a_value_as_serde_json_says() {
    withstands("value", 50_000);
}

#[test]
fn any_json_is_normalized_once_for_all_or_refused() {
    withstands("normalize", 50_000);
}

#[test]
fn any_manifest_is_held_against_its_backup() {
    withstands("backup-manifest", 20_000);
}

#[test]
fn any_store_json_is_read_or_refused() {
    withstands("store-json", 5_000);
}

#[test]
fn any_journal_is_put_back_or_passed_over() {
    withstands("journal", 5_000);
}

#[test]
fn each_target_is_tested() {
    for target in &TARGETS {
        let call = format!("withstands(\"{}\", ", target.name);
        assert!(include_str!("main.rs").contains(&call), "{} is not", target.name);
    }
}
