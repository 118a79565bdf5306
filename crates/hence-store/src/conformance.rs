//! What every store must do: one suite of named checks, run on each store in the same way.
//!
//! A check gets a [`Site`], a new empty store that can be opened several times, as several processes would. It looks at allowed and
//! refused cases through the port only and panics with a sentence when something is wrong. What only one store has is tested there.
#![allow(clippy::unwrap_used, reason = "a suite of tests: a failed unwrap is a failed check")]

pub mod fixture;

mod accept;
mod counters;
pub mod erasing;
mod leases;
mod lists;
mod starts;
mod writes;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::port::Store;

/// A place with one store, empty at first.
pub trait Site: Send + Sync {
    /// Opens the store again, as another process would; what was opened before stays open.
    fn open(&self) -> Arc<dyn Store>;
}

/// One check of the suite.
#[derive(Clone, Copy)]
pub struct Check {
    /// What holds, as a sentence with underscores.
    pub name: &'static str,
    run: fn(Arc<dyn Site>) -> Running,
}

/// A check under way.
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Check {
    /// Runs it on a new site.
    /// # Panics
    /// When the store does not do what the name says.
    pub async fn run(&self, site: Arc<dyn Site>) {
        (self.run)(site).await;
    }
}

macro_rules! suite {
    ($($area:ident: $($name:ident),+;)+) => {
        vec![$($(Check { name: stringify!($name), run: |site| Box::pin($area::$name(site)) }),+),+]
    };
}

/// The whole suite.
pub fn checks() -> Vec<Check> {
    suite! {
        accept: identity_stays_and_ids_rise, the_clock_is_shared, definitions_keep_every_version, wishes_come_back_oldest_first,
            same_key_and_wish_gives_the_same_id, same_key_with_another_wish_changes_nothing, keys_are_kept_for_a_day,
            odd_texts_come_back_as_they_were, postponed_wishes_wait_until_they_are_tried_again, limits_of_a_batch_are_refused;
        writes: an_unknown_entity_is_empty, what_is_written_comes_back, second_plan_from_the_same_version_conflicts,
            a_wish_is_carried_out_once, a_change_set_is_written_whole_or_not_at_all, an_occurrence_is_planned_once,
            a_changed_task_is_not_overwritten, a_final_state_never_changes, contradictions_are_refused, a_move_brings_reason_and_action,
            a_batch_answers_each_change_set, time_never_goes_back_in_history, history_folds_to_the_state;
        starts: due_tasks_start_earliest_first, nothing_starts_early, a_start_raises_the_fence, an_outdated_lease_starts_nothing,
            cancelled_task_never_starts, one_task_of_an_entity_runs_at_a_time, an_awaited_answer_blocks_and_a_held_task_does_not,
            a_wish_prevents_the_start, steps_that_are_left_out_keep_nobody_waiting, attempts_that_should_end_are_named,
            a_range_starts_fresh_tasks_beside_a_backlog,
            the_look_ahead_pages_without_gaps;
        leases: beats_never_go_back_and_show_who_owns_what, a_free_shard_is_taken_once, many_nodes_share_the_shards,
            a_dead_node_is_replaced_at_once, a_beat_defeats_forgetting, a_node_that_stands_still_is_replaced_unless_it_is_known_to_live,
            released_shards_are_free, a_new_epoch_outdates_the_old, a_lease_reaches_its_own_shards_only,
            orphans_are_those_of_older_epochs, a_shard_that_changes_hands_leaves_the_others_alone, overdue_answers_are_found;
        lists: upcoming_filters_agree_with_the_tasks, upcoming_pages_are_complete_while_rows_come, history_filters_agree_with_the_records,
            history_pages_both_ways, a_task_shows_all_of_itself, entities_are_listed_by_their_written_form,
            wrong_cursors_are_refused;
        counters: counters_equal_a_recount, days_sum_up_hours;
        erasing: erasing_leaves_no_trace_of_what_was_told, erasing_ends_what_was_ahead, erasures_come_due,
            pruning_forgets_only_what_is_over;
    }
}
