//! The statements, each from its own file below `sql/sqlite/`.
//!
//! Every file is prepared and explained by a test; what it does, who calls it and which index serves it stands at its top.

macro_rules! statements {
    ($($name:ident = $path:literal;)*) => {
        $(pub(crate) const $name: &str = include_str!(concat!("../../sql/sqlite/", $path, ".sql"));)*
    };
}

statements! {
    IDENTITY_STORE = "identity/store";
    IDENTITY_CREATE = "identity/create";
    IDENTITY_SCHEMA = "identity/schema";
    IDENTITY_SET_SCHEMA = "identity/set_schema";
    IDENTITY_SET_CLOCK = "identity/set_clock";
    IDENTITY_TAKE_NUMBERS = "identity/take_numbers";
    DEFINITION_PUT = "definition/put";
    DEFINITION_AGAIN = "definition/again";
    DEFINITION_LIST = "definition/list";
    INBOX_INSERT = "inbox/insert";
    INBOX_TELL = "inbox/tell";
    INBOX_LIST = "inbox/list";
    INBOX_OF_ENTITY = "inbox/of_entity";
    INBOX_DELETE = "inbox/delete";
    INBOX_DELETE_OF_ENTITY = "inbox/delete_of_entity";
    INBOX_CARRIED_OUT = "inbox/carried_out";
    INBOX_POSTPONE = "inbox/postpone";
    INBOX_FIND_KEY = "inbox/find_key";
    INBOX_PUT_KEY = "inbox/put_key";
    INBOX_EXPIRE_KEYS = "inbox/expire_keys";
    INBOX_DELETE_KEYS = "inbox/delete_keys";
    ENTITY_FIND = "entity/find";
    ENTITY_INSERT = "entity/insert";
    ENTITY_TOUCH = "entity/touch";
    ENTITY_LIST = "entity/list";
    ENTITY_POSTPONED = "entity/postponed";
    WRITE_PUT_TIMELINE = "write/put_timeline";
    WRITE_FIND_TIMELINE = "write/find_timeline";
    WRITE_FIND_STEP = "write/find_step";
    WRITE_INSERT_STEP = "write/insert_step";
    WRITE_INSERT_BODY = "write/insert_body";
    WRITE_INSERT_LIVE = "write/insert_live";
    WRITE_FIND_LIVE = "write/find_live";
    WRITE_UPDATE_LIVE = "write/update_live";
    WRITE_DELETE_LIVE = "write/delete_live";
    WRITE_CHANGE_BODY = "write/change_body";
    WRITE_INSERT_RECORD = "write/insert_record";
    WRITE_NEWEST_RECORD = "write/newest_record";
    SNAPSHOT_TIMELINES = "snapshot/timelines";
    SNAPSHOT_LIVE = "snapshot/live";
    SNAPSHOT_RECORDS = "snapshot/records";
    LEASE_BEAT = "lease/beat";
    LEASE_NODES = "lease/nodes";
    LEASE_SHARD = "lease/shard";
    LEASE_TAKE = "lease/take";
    LEASE_RELEASE = "lease/release";
    LEASE_FORGET = "lease/forget";
    LEASE_FREE = "lease/free";
    START_DUE_SOON = "start/due_soon";
    START_STARTABLE = "start/startable";
    START_START = "start/start";
    START_GOES_ON = "start/goes_on";
    START_ORPHANS = "start/orphans";
    START_OVERDUE_ANSWERS = "start/overdue_answers";
    START_NEXT_WAKE_AT = "start/next_wake_at";
    UPCOMING_OF_ENTITY = "upcoming/of_entity";
    UPCOMING_OF_STATE = "upcoming/of_state";
    UPCOMING_OF_STEP = "upcoming/of_step";
    UPCOMING_STEPS = "upcoming/steps";
    HISTORY_OF_ENTITY = "history/of_entity";
    HISTORY_OF_TASK = "history/of_task";
    HISTORY_OF_STEP = "history/of_step";
    HISTORY_OF_KIND = "history/of_kind";
    HISTORY_ALL = "history/all";
    HISTORY_BOUNDS = "history/bounds";
    HISTORY_WRITTEN_AT = "history/written_at";
    TASK_ORIGIN = "task/origin";
    TASK_LIVE = "task/live";
    TASK_RECORDS = "task/records";
    TASK_TIMELINE = "task/timeline";
    COUNTER_ADD = "counter/add";
    COUNTER_DROP = "counter/drop";
    COUNTER_LIST = "counter/list";
    COUNTER_ADD_TALLY = "counter/add_tally";
    COUNTER_TALLIES = "counter/tallies";
    ERASE_TIMELINES = "erase/timelines";
    ERASE_RECORD_REASONS = "erase/record_reasons";
    ERASE_SCRUB_RECORD = "erase/scrub_record";
    ERASE_BODY_REASONS = "erase/body_reasons";
    ERASE_SCRUB_BODY = "erase/scrub_body";
    ERASE_FORGET_DATE = "erase/forget_date";
    ERASE_DUE = "erase/due";
    ERASE_IDLE = "erase/idle";
    ERASE_PRUNE_BODIES = "erase/prune_bodies";
    ERASE_PRUNE_RECORDS = "erase/prune_records";
    ERASE_PRUNE_TIMELINES = "erase/prune_timelines";
    ERASE_PRUNE_ENTITY = "erase/prune_entity";
}

/// The migrations in order; the first one makes schema 1.
pub(crate) const MIGRATIONS: [&str; 4] = [
    include_str!("../../sql/sqlite/migrations/0001_first.sql"),
    include_str!("../../sql/sqlite/migrations/0002_nodes.sql"),
    include_str!("../../sql/sqlite/migrations/0003_postponed.sql"),
    include_str!("../../sql/sqlite/migrations/0004_tell.sql"),
];
