//! Bugs planted on purpose, each of which a named test must catch: the test is run once more, in a process of its own
//! whose services have the bug, and has to fail, saying what it is there to say.

use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::Semaphore;

/// How many such runs go on at once: each starts a Postgres of its own.
static RUNS: Semaphore = Semaphore::const_new(2);

/// A bug, in the language of `latchkey_service_kit::faults`, with what makes it show; the test that catches it; what that
/// says.
struct Caught {
    faults: &'static str,
    by: &'static str,
    saying: &'static str,
}

async fn prove(caught: Caught) {
    let Caught { faults, by, saying } = caught;
    let _turn = RUNS.acquire().await.expect("never closed");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", by, "--nocapture", "--test-threads", "1"])
        .env("FAILPOINTS", faults)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("a run of the test");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let end: String = said.lines().rev().take(40).collect::<Vec<_>>().join("\n");
    assert!(said.contains("running 1 test"), "there is no test {by}");
    assert!(!output.status.success(), "{faults} is not caught by {by}");
    assert!(
        said.contains(saying),
        "{by} fails with {faults}, but not saying {saying:?}:\n{end}"
    );
}

macro_rules! caught {
    ($($name:ident: $faults:literal by $by:literal saying $saying:literal;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                prove(Caught { faults: $faults, by: $by, saying: $saying }).await;
            }
        )+
    };
}

caught! {
    the_unique_index_is_dropped: "bug::unique_index_dropped=return"
        by "tripwires::the_schema_itself_refuses_what_must_never_be"
        saying "enrollments_key_slot is gone";
    the_class_is_not_locked: "bug::class_not_locked=return;decide::facts_read=sleep(700)"
        by "tripwires::a_class_cancelled_in_the_rush_has_nobody_in_it"
        saying "nobody stays in";
    the_facts_are_read_before_the_lock: "bug::facts_read_before_the_lock=return;decide::facts_read=sleep(700)"
        by "tripwires::a_class_cancelled_in_the_rush_has_nobody_in_it"
        saying "nobody stays in";
    the_facts_are_read_in_the_other_order: "bug::facts_read_in_the_other_order=return"
        by "tripwires::an_id_that_is_decided_elsewhere_meanwhile_is_not_taken_for_anothers"
        saying "the same answer";
    a_conflict_is_patched: "bug::conflict_patched=return;decide::facts_read=sleep(300)"
        by "tripwires::the_neighbours_of_a_conflict_are_let_in"
        saying "a neighbour is let in";
    the_last_come_are_served_first: "bug::last_come_first_served=return"
        by "tripwires::who_came_first_gets_the_last_seats"
        saying "assertion `left == right` failed";
    a_rollback_is_taken_for_a_commit: "bug::rollback_taken_for_commit=return"
        by "tripwires::a_failed_transaction_never_passes_for_a_committed_one"
        saying "nothing was committed";
    a_use_is_released_by_its_key_alone: "bug::released_by_the_key_alone=return"
        by "tripwires::uses_told_in_any_order_and_number_come_to_the_same"
        saying "one use lives on";
    a_released_use_lives_again: "bug::released_lives_again=return"
        by "tripwires::uses_told_in_any_order_and_number_come_to_the_same"
        saying "one use lives on";
    a_use_that_only_keys_remembers_is_overlooked: "bug::unknown_use_overlooked=return"
        by "tripwires::a_key_whose_use_only_keys_remembers_is_refused_as_redeemed"
        saying "KEY_ALREADY_REDEEMED, was answered";
    the_answer_leaves_before_the_flush: "bug::answered_before_the_flush=return"
        by "tripwires::what_was_answered_is_on_disk_however_soon_the_process_dies"
        saying "it was answered and is not recorded";
    a_client_retries_under_a_new_id: "bug::retried_under_a_new_id=return"
        by "chaos::connections_to_postgres_end"
        saying "was answered differently";
    a_push_is_lost: "bug::push_lost=return"
        by "classes::an_update_changes_the_named_fields_of_the_version_that_was_read"
        saying "never all told to keys: classes are copied";
    keys_is_told_after_the_commit: "bug::told_after_the_commit=return"
        by "tripwires::what_keys_missed_it_is_told_again"
        saying "marks equal live uses";
    a_cancellation_keeps_the_seat: "bug::seat_kept=return"
        by "cancelling::a_cancellation_frees_the_seat_and_the_key_for_another_student"
        saying "assertion `left == right` failed";
    a_replay_looks_at_the_code_first: "bug::replay_looks_at_the_code_first=return"
        by "replays::after_the_key_was_revoked"
        saying "replay";
    the_fingerprint_is_not_compared: "bug::fingerprint_not_compared=return"
        by "replays::an_id_with_other_content_is_refused_and_changes_nothing"
        saying "REQUEST_ID_REUSED, was answered";
    a_code_is_logged_where_nobody_looks: "bug::code_logged=return"
        by "secrets_stay_secret::nothing_that_is_stored_logged_traced_measured_or_answered_gives_a_secret_away"
        saying "stands in a log";
    a_code_is_in_a_span: "bug::code_traced=return"
        by "secrets_stay_secret::nothing_that_is_stored_logged_traced_measured_or_answered_gives_a_secret_away"
        saying "stands in a span";
    a_code_is_in_a_metric: "bug::code_measured=return"
        by "secrets_stay_secret::nothing_that_is_stored_logged_traced_measured_or_answered_gives_a_secret_away"
        saying "stands in the metrics";
    a_code_is_in_a_refusal: "bug::code_answered=return"
        by "secrets_stay_secret::nothing_that_is_stored_logged_traced_measured_or_answered_gives_a_secret_away"
        saying "stands in a refusal";
    a_code_is_in_the_log_of_changes: "bug::code_written_ahead=return"
        by "secrets_stay_secret::nothing_that_is_stored_logged_traced_measured_or_answered_gives_a_secret_away"
        saying "/pg_wal/";
    a_code_is_stored_in_an_audit_row: "bug::code_stored=return"
        by "secrets_stay_secret::nothing_that_is_stored_logged_traced_measured_or_answered_gives_a_secret_away"
        saying "stands in the table keys.audit_events";
    the_beginning_of_a_transaction_is_dropped: "bug::begin_of_the_library=return;bug::transactions_not_rolled_back_on_release=return"
        by "cancellation::a_handler_stopped_at_any_poll_leaves_nothing_behind"
        saying "is left in a transaction";
}
