//! The table of promises, as CI runs it: a test for each row and store that is shown by cases.

use std::path::Path;

use persist_tests::rows::list::ROWS;
use persist_tests::rows::run::{Bounds, End, run};
use persist_tests::rows::{Part, Setting, Shown};

fn setting() -> Setting {
    Setting { program: Path::new(env!("CARGO_BIN_EXE_crash")).to_owned(), fs: None, is_bundled: false }
}

/// Runs the part that this test shows, with as many cases as CI runs.
fn holds(test: &str) {
    let mut parts = ROWS.iter().flat_map(|row| row.parts.iter().map(move |part| (row, part)));
    let is_it = |part: &Part| matches!(&part.shown, Shown::Cases(cases) if cases.test == test);
    let (row, part) = parts.find(|(_, part)| is_it(part)).unwrap();
    let outcome = run(row, part, &setting(), Bounds { first: 1, cases: None, time: None });
    match &outcome.end {
        End::Held => eprintln!("{} cases: {}", outcome.cases, outcome.counters),
        End::Skipped(why) => eprintln!("skipped: {why}"),
        End::Broken(how) => panic!("{how}"),
    }
}

#[test]
fn a_killed_process_loses_and_doubles_nothing() {
    holds("a_killed_process_loses_and_doubles_nothing");
}

#[test]
fn a_killed_process_that_had_a_collection_store_loses_and_doubles_nothing() {
    holds("a_killed_process_that_had_a_collection_store_loses_and_doubles_nothing");
}

#[test]
fn a_store_whose_disk_stops_at_any_operation_loses_and_halves_nothing() {
    holds("a_store_whose_disk_stops_at_any_operation_loses_and_halves_nothing");
}

#[test]
fn a_collection_store_whose_disk_stops_at_any_operation_loses_and_halves_nothing() {
    holds("a_collection_store_whose_disk_stops_at_any_operation_loses_and_halves_nothing");
}

#[test]
fn a_fault_between_the_steps_of_a_flush_doubles_and_loses_nothing() {
    holds("a_fault_between_the_steps_of_a_flush_doubles_and_loses_nothing");
}

#[test]
fn a_fault_between_the_steps_of_a_collection_stores_flush_doubles_and_loses_nothing() {
    holds("a_fault_between_the_steps_of_a_collection_stores_flush_doubles_and_loses_nothing");
}

#[test]
fn an_operation_that_fails_is_told_and_loses_nothing() {
    holds("an_operation_that_fails_is_told_and_loses_nothing");
}

#[test]
fn an_operation_of_a_collection_store_that_fails_is_told_and_loses_nothing() {
    holds("an_operation_of_a_collection_store_that_fails_is_told_and_loses_nothing");
}

#[test]
fn a_panic_is_told_to_everybody_at_once_and_loses_nothing() {
    holds("a_panic_is_told_to_everybody_at_once_and_loses_nothing");
}

#[test]
fn a_panic_in_a_collection_store_is_told_to_everybody_at_once_and_loses_nothing() {
    holds("a_panic_in_a_collection_store_is_told_to_everybody_at_once_and_loses_nothing");
}

#[test]
fn a_recovery_that_is_crashed_again_and_again_loses_and_doubles_nothing() {
    holds("a_recovery_that_is_crashed_again_and_again_loses_and_doubles_nothing");
}

#[test]
fn a_recovery_of_a_collection_store_that_is_crashed_again_and_again_loses_and_doubles_nothing() {
    holds("a_recovery_of_a_collection_store_that_is_crashed_again_and_again_loses_and_doubles_nothing");
}

#[test]
fn of_two_processes_one_has_a_store_and_a_dead_one_holds_nobody_up() {
    holds("of_two_processes_one_has_a_store_and_a_dead_one_holds_nobody_up");
}

#[test]
fn of_two_processes_one_has_a_collection_store_and_a_dead_one_holds_nobody_up() {
    holds("of_two_processes_one_has_a_collection_store_and_a_dead_one_holds_nobody_up");
}

#[test]
fn a_duckdb_that_fails_for_long_makes_writers_busy_and_loses_nothing() {
    holds("a_duckdb_that_fails_for_long_makes_writers_busy_and_loses_nothing");
}

#[test]
fn a_duckdb_that_fails_for_long_makes_writers_of_a_collection_store_busy_and_loses_nothing() {
    holds("a_duckdb_that_fails_for_long_makes_writers_of_a_collection_store_busy_and_loses_nothing");
}

#[test]
fn a_store_that_is_opened_and_closed_again_and_again_leaves_nothing_behind() {
    holds("a_store_that_is_opened_and_closed_again_and_again_leaves_nothing_behind");
}

#[test]
fn a_collection_store_that_is_opened_and_closed_again_and_again_leaves_nothing_behind() {
    holds("a_collection_store_that_is_opened_and_closed_again_and_again_leaves_nothing_behind");
}

#[test]
fn a_damaged_database_is_refused_or_answers_as_before() {
    holds("a_damaged_database_is_refused_or_answers_as_before");
}

#[test]
fn a_damaged_database_of_a_collection_store_is_refused_or_answers_as_before() {
    holds("a_damaged_database_of_a_collection_store_is_refused_or_answers_as_before");
}

#[test]
fn whatever_becomes_of_duckdbs_own_log_all_is_there() {
    holds("whatever_becomes_of_duckdbs_own_log_all_is_there");
}

#[test]
fn whatever_becomes_of_the_logs_of_a_collection_stores_databases_all_is_there() {
    holds("whatever_becomes_of_the_logs_of_a_collection_stores_databases_all_is_there");
}

#[test]
fn five_hundred_hostile_names_come_back_through_each_verb_or_are_refused() {
    holds("five_hundred_hostile_names_come_back_through_each_verb_or_are_refused");
}

#[test]
fn five_hundred_hostile_names_come_back_through_each_verb_of_a_collection_store() {
    holds("five_hundred_hostile_names_come_back_through_each_verb_of_a_collection_store");
}

// The following take root and some programs; elsewhere they say so and end.

#[test]
fn a_power_cut_loses_nothing_that_was_durable() {
    holds("a_power_cut_loses_nothing_that_was_durable");
}

#[test]
fn a_power_cut_costs_a_collection_store_nothing_that_was_durable() {
    holds("a_power_cut_costs_a_collection_store_nothing_that_was_durable");
}

#[test]
fn a_device_that_fails_to_write_costs_nothing_that_was_durable() {
    holds("a_device_that_fails_to_write_costs_nothing_that_was_durable");
}

#[test]
fn a_device_that_fails_to_write_costs_a_collection_store_nothing_that_was_durable() {
    holds("a_device_that_fails_to_write_costs_a_collection_store_nothing_that_was_durable");
}

#[test]
fn a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_space() {
    holds("a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_space");
}

#[test]
fn a_full_disk_costs_a_collection_store_nothing_which_goes_on_when_there_is_space() {
    holds("a_full_disk_costs_a_collection_store_nothing_which_goes_on_when_there_is_space");
}
