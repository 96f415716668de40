//! The table itself.

use super::{Case, Cases, Named, Part, Row, Setting, Shown, Store};
use crate::{
    CollectionSubject, DatedSubject, cycles, damaged, eio, faults, full, kill, lasting, names, owners, power, recovery,
    stop,
};

/// All rows that there are tests for, by their numbers.
// A table is read by its rows.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    Row {
        number: 1,
        name: "kill -9 at any moment, all threads busy; ten times in a folder",
        promise: "what was acknowledged is there, once, in order; the rest whole or not at all",
        parts: &[
            cases(Store::Dated, kill::case::<DatedSubject>, 15, 10_000,
                KILLS, "a_killed_process_loses_and_doubles_nothing"),
            cases(Store::Collection, kill::case::<CollectionSubject>, 15, 10_000,
                KILLS, "a_killed_process_that_had_a_collection_store_loses_and_doubles_nothing"),
        ],
    },
    Row {
        number: 2,
        name: "a crash at each file operation that we make",
        promise: "what was acknowledged is there, once, in order; the rest whole or not at all; all that is left out is told",
        parts: &[
            tests(Store::Log, 100, &[
                core("wal::crash::a_crash_at_any_operation_loses_nothing_acknowledged", 2),
                core("wal::crash::a_crash_at_any_operation_with_large_records_loses_nothing_acknowledged", 1),
                core("wal::crash::a_crash_at_any_operation_of_a_log_in_several_folders_loses_nothing_acknowledged", 2),
                core("wal::kept::a_crash_at_any_operation_of_keeping_and_removing_leaves_each_line_once", 0),
                core("roll::a_crash_at_any_operation_of_rolling_over_leaves_a_store_that_opens_for_either_date", 0),
            ]),
            cases(Store::Dated, stop::case::<DatedSubject>, 350, 50_000,
                &[("stopped", 220), ("acknowledged", 1_700), ("replayed", 150)], "a_store_whose_disk_stops_at_any_operation_loses_and_halves_nothing"),
            cases(Store::Collection, stop::case::<CollectionSubject>, 150, 50_000,
                &[("stopped", 60), ("acknowledged", 700), ("replayed", 60)], "a_collection_store_whose_disk_stops_at_any_operation_loses_and_halves_nothing"),
        ],
    },
    Row {
        number: 3,
        name: "a crash, an error, a panic or a delay between the steps of a flush, a merge and a checkpoint",
        promise: "each write once; the store goes on after an error, and is poisoned after a panic",
        parts: &[
            cases(Store::Dated, faults::step::<DatedSubject>, 48, 18_000,
                &[("faults", 44), ("acknowledged", 500), ("poisoned", 10)], "a_fault_between_the_steps_of_a_flush_doubles_and_loses_nothing"),
            cases(Store::Collection, faults::step::<CollectionSubject>, 48, 18_000,
                &[("faults", 44), ("acknowledged", 500), ("poisoned", 10)], "a_fault_between_the_steps_of_a_collection_stores_flush_doubles_and_loses_nothing"),
        ],
    },
    Row {
        number: 4,
        name: "a crash during recovery",
        promise: "it ends the same when it is started over",
        parts: &[
            tests(Store::Log, 100, &[
                core("wal::crash::a_recovery_that_crashes_at_any_operation_ends_the_same_when_started_over", 1),
                core("wal::crash::a_recovery_of_several_folders_that_crashes_at_any_operation_ends_the_same_when_started_over", 1),
                core("wal::crash::a_cut_that_an_interrupted_recovery_did_not_sync_is_made_durable_by_the_next", 0),
                core("wal::faults::a_recovery_whose_operation_fails_is_an_error_and_can_be_started_over", 6),
                core("wal::salvage::a_salvage_that_is_interrupted_ends_the_same_when_started_over", 25),
            ]),
            cases(Store::Dated, recovery::case::<DatedSubject>, 150, 50_000,
                &[("stopped", 90), ("openings stopped", 60), ("replayed", 70)], "a_recovery_that_is_crashed_again_and_again_loses_and_doubles_nothing"),
            cases(Store::Collection, recovery::case::<CollectionSubject>, 100, 50_000,
                &[("stopped", 40), ("openings stopped", 40), ("replayed", 35)], "a_recovery_of_a_collection_store_that_is_crashed_again_and_again_loses_and_doubles_nothing"),
        ],
    },
    Row {
        number: 5,
        name: "power loss: what was not synced is dropped, reordered, torn; names are undone",
        promise: "what was durable is there, once, in order; all that is left out is told",
        parts: &[tests(Store::Log, 10_000_000, &[
                core("wal::power::twenty_thousand_power_cuts_lose_nothing_acknowledged", 20_000),
                core("wal::power::power_cuts_under_four_threads_lose_nothing_acknowledged", 40),
                core("wal::holes::any_sectors_of_unsynced_groups_may_be_missing", 30),
                core("wal::holes::any_sectors_of_the_first_groups_of_a_segment_may_be_missing", 30),
                core("wal::holes::missing_sectors_may_read_as_zeros_or_ones", 20),
                core("files::the_names_of_new_folders_are_durable_below_the_working_directory_too", 0),
            ])],
    },
    Row {
        number: 6,
        name: "power loss of a real kernel with DuckDB under it; five times on a file system",
        promise: "what was durable is there, once, in order; backups and exports that were done are whole",
        parts: &[
            where_possible(power::unavailable, cases(Store::Dated, power::case::<DatedSubject>, 6, 1_000,
                &[("durable", 200), ("cuts after a kill", 1), ("probes lost", 1)], "a_power_cut_loses_nothing_that_was_durable")),
            where_possible(power::unavailable, cases(Store::Collection, power::case::<CollectionSubject>, 4, 1_000,
                &[("durable", 130), ("cuts after a kill", 1), ("probes lost", 1)], "a_power_cut_costs_a_collection_store_nothing_that_was_durable")),
        ],
    },
    Row {
        number: 7,
        name: "a sync that fails",
        promise: "the log is poisoned and tries nothing again; what is opened later trusts no page in memory",
        parts: &[
            tests(Store::Log, 1_000, &[
                core("wal::faults::a_failed_sync_poisons_at_once_and_nothing_recovery_serves_rests_on_its_pages", 2),
                core("wal::faults::what_recovery_took_from_pages_of_a_failed_sync_is_still_there_without_them", 0),
                core("wal::faults::what_a_close_could_not_sync_is_in_doubt_and_not_tried_again", 0),
                core("wal::ahead::a_sync_that_fails_while_more_is_laid_out_poisons_the_log", 0),
                dated("poison::a_failed_write_or_sync_poisons_the_store_and_is_not_tried_again"),
                dated("poison::a_record_that_was_written_but_could_not_be_synced_is_never_flushed"),
                dated("poison::everyone_who_waits_is_told_when_the_sync_fails"),
            ]),
            where_possible(eio::unavailable, cases(Store::Dated, eio::case::<DatedSubject>, 4, 1_000,
                &[("durable", 50), ("stores that went on", 1)], "a_device_that_fails_to_write_costs_nothing_that_was_durable")),
            where_possible(eio::unavailable, cases(Store::Collection, eio::case::<CollectionSubject>, 4, 1_000,
                &[("durable", 50), ("stores that went on", 1)], "a_device_that_fails_to_write_costs_a_collection_store_nothing_that_was_durable")),
        ],
    },
    Row {
        number: 8,
        name: "each error that the system has for a file operation; short and interrupted writes",
        promise: "an error, or all was written; what was acknowledged is there",
        parts: &[
            tests(Store::Log, 1_000, &[
                core("wal::faults::a_write_that_fails_is_an_error_and_loses_nothing_acknowledged", 1),
                core("wal::faults::short_and_interrupted_writes_are_finished", 1),
                core("wal::faults::a_power_cut_between_the_halves_of_a_short_write_is_a_tear", 3_000),
                core("wal::faults::any_other_operation_may_fail_too", 1),
                core("wal::faults::a_segment_that_cannot_even_be_removed_is_in_nobodys_way", 0),
            ]),
            cases(Store::Dated, faults::error::<DatedSubject>, 49, 10_000,
                &[("faults", 25), ("acknowledged", 500), ("poisoned", 3)], "an_operation_that_fails_is_told_and_loses_nothing"),
            cases(Store::Collection, faults::error::<CollectionSubject>, 49, 10_000,
                &[("faults", 25), ("acknowledged", 500), ("poisoned", 3)], "an_operation_of_a_collection_store_that_fails_is_told_and_loses_nothing"),
        ],
    },
    Row {
        number: 9,
        name: "a full disk of a real kernel, whatever is asked of the store",
        promise: "nothing is lost, and it goes on when there is space again",
        parts: &[
            tests(Store::Log, 10, &[
                core("wal::faults::a_full_disk_refuses_a_line_before_it_has_a_seq_and_the_log_goes_on", 0),
                core("wal::ahead::where_there_is_no_space_ahead_the_writer_who_needs_it_is_told", 0),
            ]),
            where_possible(full::unavailable, cases(Store::Dated, full::case::<DatedSubject>, 10, 500,
                &[("refused", 5)], "a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_space")),
            where_possible(full::unavailable, cases(Store::Collection, full::case::<CollectionSubject>, 10, 500,
                &[("refused", 5)], "a_full_disk_costs_a_collection_store_nothing_which_goes_on_when_there_is_space")),
        ],
    },
    Row {
        number: 10,
        name: "a torn tail: every byte cut",
        promise: "what is before the cut is there, and every other byte is told",
        parts: &[tests(Store::Log, 10, &[
                core("wal::damage::a_segment_cut_at_any_byte_gives_its_whole_lines", 0),
                core("wal::batch::a_segment_cut_at_any_byte_gives_whole_batches_and_reports_every_other_byte", 0),
                core("wal::salvage::a_torn_tail_is_cut_alike_under_each_policy", 300),
            ])],
    },
    Row {
        number: 11,
        name: "zeros, ones and old bytes after the tail",
        promise: "what is before them is there, and nothing of them",
        parts: &[tests(Store::Log, 1_000_000, &[
                core("wal::damage::zeros_ones_and_old_bytes_after_the_tail_are_left_out", 20_000),
                core("wal::judge::lines_older_than_those_before_them_are_what_the_disk_held_earlier", 0),
            ])],
    },
    Row {
        number: 12,
        name: "a flipped bit in the log",
        promise: "never wrong data; found, named and kept",
        parts: &[tests(Store::Log, 1_000, &[
                core("wal::damage::every_flipped_bit_is_found_and_located_or_reported_as_torn_in_the_last_group", 1),
                core("wal::damage::strict_recovery_of_a_damaged_log_changes_nothing", 200),
                core("wal::batch::a_bit_flipped_in_a_batch_loses_all_of_it_and_nothing_else", 0),
                core("wal::salvage::salvage_takes_every_good_line_and_notes_what_was_lost", 400),
            ])],
    },
    Row {
        number: 13,
        name: "a segment that is missing, doubled, swapped or another store's",
        promise: "found, or harmless",
        parts: &[tests(Store::Log, 1_000, &[
                core("wal::segments::a_missing_segment_is_found_and_what_a_flush_has_may_be_missing", 0),
                core("wal::segments::two_segments_may_be_swapped_and_any_may_be_doubled", 0),
                core("wal::segments::a_doubled_segment_with_a_torn_tail_is_torn_twice", 0),
                core("wal::segments::a_copy_that_says_something_else_is_damage", 0),
                core("wal::segments::another_stores_segment_is_refused_and_its_store_named", 0),
                core("wal::segments::segments_may_have_been_removed_in_any_order", 4),
                core("roll::another_stores_segment_in_any_dates_folder_is_named_and_nothing_is_changed", 0),
            ])],
    },
    Row {
        number: 14,
        name: "DuckDB's files flipped, cut, emptied, missing, or older than the log; ten damages of a store",
        promise: "refused or rebuilt, never wrong rows",
        parts: &[
            tests(Store::Log, 10, &[
                beside("duck::tests::damage::a_flipped_bit_is_an_error_or_harmless"),
                beside("duck::tests::damage::a_file_cut_short_is_an_error"),
                collection("repair::repair_finds_the_damaged_file_wherever_it_is_hit_and_leaves_a_sound_store_alone"),
            ]),
            cases(Store::Dated, damaged::files::<DatedSubject>, 10, 3_000,
                &[("damages", 100), ("refused", 50)], "a_damaged_database_is_refused_or_answers_as_before"),
            cases(Store::Collection, damaged::files::<CollectionSubject>, 10, 3_000,
                &[("damages", 100), ("refused", 35)], "a_damaged_database_of_a_collection_store_is_refused_or_answers_as_before"),
        ],
    },
    Row {
        number: 15,
        name: "DuckDB's own log flipped, cut, missing or doubled; ten damages of a store",
        promise: "all is there: our segments replay it",
        parts: &[
            tests(Store::Log, 10, &[dated("open::duckdbs_own_log_is_not_trusted_after_a_crash")]),
            cases(Store::Dated, damaged::own_logs::<DatedSubject>, 5, 1_000,
                &[("damages", 20)], "whatever_becomes_of_duckdbs_own_log_all_is_there"),
            cases(Store::Collection, damaged::own_logs::<CollectionSubject>, 5, 1_000,
                &[("damages", 20)], "whatever_becomes_of_the_logs_of_a_collection_stores_databases_all_is_there"),
        ],
    },
    Row {
        number: 16,
        name: "two processes, a fork, a lock that a dead process has left",
        promise: "one owner, who is named; a dead one holds nobody up",
        parts: &[
            tests(Store::Log, 10, &[
                beside("lock::tests::the_second_opener_is_told_who_holds_the_lock"),
                beside("lock::tests::a_holder_that_is_just_saying_who_it_is_is_named_all_the_same"),
                ours("fork::a_forked_child_is_refused_and_costs_its_parent_neither_records_nor_the_lock"),
            ]),
            cases(Store::Dated, owners::case::<DatedSubject>, 60, 10_000,
                &[("refused", 60), ("killed while opening", 2), ("took turns", 40)], "of_two_processes_one_has_a_store_and_a_dead_one_holds_nobody_up"),
            cases(Store::Collection, owners::case::<CollectionSubject>, 40, 10_000,
                &[("refused", 40), ("killed while opening", 1), ("took turns", 25)], "of_two_processes_one_has_a_collection_store_and_a_dead_one_holds_nobody_up"),
        ],
    },
    Row {
        number: 18,
        name: "a thread of the store's that panics, or a caller's within its own value",
        promise: "poisoned, or refused; everybody gets an answer at once; what was acknowledged is there",
        parts: &[
            tests(Store::Log, 10, &[
                core("wal::group::a_leader_that_panics_poisons_the_log_and_hangs_nobody", 0),
                core("wal::group::a_panic_while_the_log_is_laid_out_poisons_it_and_hangs_nobody", 0),
                core("wal::news::a_call_that_panics_keeps_nobody_else_from_being_called", 0),
            ]),
            cases(Store::Dated, faults::panic::<DatedSubject>, 27, 10_000,
                &[("faults", 11), ("acknowledged", 500), ("poisoned", 7)], "a_panic_is_told_to_everybody_at_once_and_loses_nothing"),
            cases(Store::Collection, faults::panic::<CollectionSubject>, 27, 10_000,
                &[("faults", 11), ("acknowledged", 500), ("poisoned", 7)], "a_panic_in_a_collection_store_is_told_to_everybody_at_once_and_loses_nothing"),
        ],
    },
    Row {
        number: 19,
        name: "a clock that steps back, midnight, days of every length",
        promise: "the order is that of the writes; a record's date stays",
        parts: &[
            tests(Store::Log, 10, &[
                core("wal::faults::write_times_never_decrease_not_even_across_a_restart", 10_000),
                beside("timestamp::tests::every_day_of_the_calendar_has_its_own_date"),
            ]),
            tests(Store::Collection, 10, &[
                collection("backups::at_midnight_the_log_goes_on_in_the_next_dates_folder_and_the_former_gets_a_backup"),
                collection("backups::a_store_of_another_date_and_one_that_is_told_to_stays_with_it_at_midnight"),
            ]),
        ],
    },
    Row {
        number: 20,
        name: "values at the limits of size, depth, numbers and text",
        promise: "kept byte by byte, or refused before they are acknowledged",
        parts: &[
            tests(Store::Dated, 10, &[
                dated("limits::fifty_thousand_values_at_the_edges_are_kept_exactly_or_refused_before_they_are_acknowledged"),
                dated("input::the_default_limits_are_those_of_the_documentation"),
                dated("typed::numbers_beyond_64_bits_and_long_decimals_are_exact_after_reopening"),
                dated("extra::what_is_accepted_is_in_its_columns_everywhere_and_what_is_refused_changes_nothing"),
            ]),
            tests(Store::Collection, 10, &[
                collection("typed::values_stay_as_they_are_in_memory_log_and_both_files"),
                collection("extra::what_does_not_fit_is_refused_and_other_columns_than_those_there"),
            ]),
        ],
    },
    Row {
        number: 21,
        name: "hostile keys, processes, columns",
        promise: "no effect on SQL or paths, and they come back as they were",
        parts: &[
            tests(Store::Log, 10, &[
                dated("export::five_hundred_hostile_texts_are_keys_processes_users_statuses_and_columns"),
                dated("export::hostile_process_names_round_trip_through_two_readers_and_stay_inside_the_root"),
                dated("extra::hostile_column_names_are_names"),
                beside("duck::tests::flush::hostile_ids_come_back"),
            ]),
            cases(Store::Dated, names::case::<DatedSubject>, 20, 2_000,
                &[("names", 500), ("refused", 20)], "five_hundred_hostile_names_come_back_through_each_verb_or_are_refused"),
            cases(Store::Collection, names::case::<CollectionSubject>, 20, 2_000,
                &[("names", 500)], "five_hundred_hostile_names_come_back_through_each_verb_of_a_collection_store"),
        ],
    },
    Row {
        number: 22,
        name: "an export or a backup that is half written",
        promise: "a reader sees the old one or the new one; the last backup that was whole stays",
        parts: &[
            tests(Store::Dated, 10, &[
                dated("export::each_file_operation_may_be_the_last_and_readers_see_whole_files_old_or_new"),
                dated("backup::a_restore_that_fails_or_stops_at_any_file_operation_can_be_started_over_or_is_finished_by_opening"),
            ]),
            tests(Store::Collection, 10, &[
                collection("backups::a_crash_at_any_operation_of_replacing_a_backup_leaves_the_old_one_or_the_new_one_whole"),
                collection("backups::a_crash_at_any_operation_of_removing_an_old_backup_is_made_up_for"),
            ]),
        ],
    },
    Row {
        number: 23,
        name: "DuckDB that works in part only, for long",
        promise: "writers slow down, then Busy; memory and the folder are bounded; nothing is lost, and it goes on after",
        parts: &[
            tests(Store::Log, 10, &[
                dated("maintenance::a_merge_that_keeps_failing_keeps_no_checkpoint_from_removing_the_log"),
                dated("maintenance::a_checkpoint_that_keeps_failing_makes_writes_busy_before_memory_and_the_log_grow_without_end"),
            ]),
            cases(Store::Dated, lasting::case::<DatedSubject>, 4, 400,
                &[("busy", 9), ("acknowledged", 2_500)], "a_duckdb_that_fails_for_long_makes_writers_busy_and_loses_nothing"),
            cases(Store::Collection, lasting::case::<CollectionSubject>, 4, 400,
                &[("busy", 9), ("acknowledged", 2_500)], "a_duckdb_that_fails_for_long_makes_writers_of_a_collection_store_busy_and_loses_nothing"),
        ],
    },
    Row {
        number: 24,
        name: "opening and closing, again and again; 125 times in a process",
        promise: "no descriptor, thread or memory stays",
        parts: &[
            cases(Store::Dated, cycles::case::<DatedSubject>, 3, 80,
                &[("openings", 375)], "a_store_that_is_opened_and_closed_again_and_again_leaves_nothing_behind"),
            cases(Store::Collection, cycles::case::<CollectionSubject>, 1, 80,
                &[("openings", 125)], "a_collection_store_that_is_opened_and_closed_again_and_again_leaves_nothing_behind"),
        ],
    },
];

/// What the kills of as many cases as CI runs have to have under way.
const KILLS: &[(&str, u64)] = &[("acknowledged", 1_500), ("unacknowledged", 30), ("replayed", 250), ("backups", 1)];

/// So many cases for CI and for a soak, what they put at stake, and the test of CI's.
const fn cases(
    store: Store,
    case: Case,
    ci: u64,
    soak: u64,
    at_stake: &'static [(&'static str, u64)],
    test: &'static str,
) -> Part {
    Part { store, shown: Shown::Cases(Cases { case, unavailable: anywhere, ci, at_stake, test }), soak }
}

/// Cases that are not possible everywhere.
const fn where_possible(unavailable: fn(&Setting) -> Option<String>, part: Part) -> Part {
    let Part { store, shown, soak } = part;
    let shown = match shown {
        Shown::Cases(cases) => Shown::Cases(Cases { unavailable, ..cases }),
        shown @ Shown::Tests(_) => shown,
    };
    Part { store, shown, soak }
}

const fn tests(store: Store, soak: u64, tests: &'static [Named]) -> Part {
    Part { store, shown: Shown::Tests(tests), soak }
}

const fn core(name: &'static str, seeds: u64) -> Named {
    Named { package: "persist-core", program: "it", name, seeds }
}

const fn beside(name: &'static str) -> Named {
    Named { package: "persist-core", program: "lib", name, seeds: 0 }
}

const fn ours(name: &'static str) -> Named {
    Named { package: "persist-tests", program: "it", name, seeds: 0 }
}

const fn dated(name: &'static str) -> Named {
    Named { package: "persist-dated", program: "it", name, seeds: 0 }
}

const fn collection(name: &'static str) -> Named {
    Named { package: "persist-collection", program: "it", name, seeds: 0 }
}

/// There is nothing that it needs.
fn anywhere(_: &Setting) -> Option<String> {
    None
}
