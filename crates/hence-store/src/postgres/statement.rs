//! The statements, each from its own file below `sql/postgres/`, with the types of their parameters.
//!
//! The types are read from the casts in the text (`$1::bigint[]`), so that a statement can also be sent without being prepared under a
//! name, as poolers need it. A test compares them with what the database finds.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use tokio_postgres::types::Type;

/// A statement of a file.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(super) text: Cow<'static, str>,
    types: OnceLock<Vec<Type>>,
}

impl Statement {
    const fn new(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), types: OnceLock::new() }
    }

    /// The types of its parameters.
    pub(super) fn types(&self) -> &[Type] {
        self.types.get_or_init(|| types_of(&self.text))
    }
}

/// The types of the casts behind `$1`, `$2`, …; each parameter has one at its first use.
pub(crate) fn types_of(text: &str) -> Vec<Type> {
    let mut types = BTreeMap::new();
    for part in text.split('$').skip(1) {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        let Some(cast) = part[digits.len()..].strip_prefix("::") else { continue };
        let name: String = cast.chars().take_while(|c| c.is_ascii_lowercase()).collect();
        let is_array = cast[name.len()..].starts_with("[]");
        if let Ok(number) = digits.parse::<usize>() {
            types.entry(number).or_insert_with(|| type_of(&name, is_array));
        }
    }
    types.into_values().collect()
}

fn type_of(name: &str, is_array: bool) -> Type {
    match (name, is_array) {
        ("bigint", false) => Type::INT8,
        ("bigint", true) => Type::INT8_ARRAY,
        ("smallint", false) => Type::INT2,
        ("smallint", true) => Type::INT2_ARRAY,
        ("text", false) => Type::TEXT,
        ("text", true) => Type::TEXT_ARRAY,
        ("bytea", true) => Type::BYTEA_ARRAY,
        ("boolean", false) => Type::BOOL,
        ("boolean", true) => Type::BOOL_ARRAY,
        // A test goes through all statements, so this is never sent.
        _ => Type::UNKNOWN,
    }
}

macro_rules! statements {
    ($($name:ident = $path:literal;)*) => {
        $(pub(crate) static $name: Statement = Statement::new(include_str!(concat!("../../sql/postgres/", $path, ".sql")));)*
    };
}

statements! {
    SCHEMA_EXISTS = "schema/exists";
    SCHEMA_FIND = "schema/find";
    SCHEMA_BEGIN = "schema/begin";
    SCHEMA_NOTE = "schema/note";
    SCHEMA_MAKE_SHARDS = "schema/make_shards";
    IDENTITY_STORE = "identity/store";
    IDENTITY_CREATE = "identity/create";
    IDENTITY_SET_CLOCK = "identity/set_clock";
    IDENTITY_TAKE_NUMBERS = "identity/take_numbers";
    DEFINITION_PUT = "definition/put";
    DEFINITION_AGAIN = "definition/again";
    DEFINITION_LIST = "definition/list";
    INBOX_INSERT = "inbox/insert";
    INBOX_LIST = "inbox/list";
    INBOX_OF_ENTITY = "inbox/of_entity";
    INBOX_FIND = "inbox/find";
    INBOX_DELETE = "inbox/delete";
    INBOX_DELETE_OF_ENTITY = "inbox/delete_of_entity";
    INBOX_CARRIED_OUT = "inbox/carried_out";
    INBOX_POSTPONE = "inbox/postpone";
    INBOX_FIND_KEY = "inbox/find_key";
    INBOX_PUT_KEY = "inbox/put_key";
    INBOX_EXPIRE_KEYS = "inbox/expire_keys";
    INBOX_DELETE_KEYS = "inbox/delete_keys";
    ENTITY_FIND = "entity/find";
    ENTITY_HOLD = "entity/hold";
    ENTITY_INSERT = "entity/insert";
    ENTITY_TOUCH = "entity/touch";
    ENTITY_LIST = "entity/list";
    ENTITY_POSTPONED = "entity/postponed";
    WRITE_PUT_TIMELINE = "write/put_timeline";
    WRITE_FIND_TIMELINE = "write/find_timeline";
    WRITE_FIND_STEP = "write/find_step";
    WRITE_INSERT_STEP = "write/insert_step";
    WRITE_FIND_BODIES = "write/find_bodies";
    WRITE_INSERT_BODY = "write/insert_body";
    WRITE_INSERT_LIVE = "write/insert_live";
    WRITE_FIND_LIVE = "write/find_live";
    WRITE_UPDATE_LIVE = "write/update_live";
    WRITE_DELETE_LIVE = "write/delete_live";
    WRITE_CHANGE_BODY = "write/change_body";
    WRITE_INSERT_RECORD = "write/insert_record";
    WRITE_NEWEST_RECORD = "write/newest_record";
    WRITE_PAUSE = "write/pause";
    SNAPSHOT_ENTITIES = "snapshot/entities";
    SNAPSHOT_TIMELINES = "snapshot/timelines";
    SNAPSHOT_LIVE = "snapshot/live";
    SNAPSHOT_RECORDS = "snapshot/records";
    LEASE_BEAT = "lease/beat";
    LEASE_NODES = "lease/nodes";
    LEASE_SHARDS = "lease/shards";
    LEASE_TAKE = "lease/take";
    LEASE_RELEASE = "lease/release";
    LEASE_FORGET = "lease/forget";
    LEASE_FREE = "lease/free";
    LEASE_HOLD = "lease/hold";
    START_DUE_SOON = "start/due_soon";
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
    HISTORY_MAKE = "history/make";
    TASK_ORIGIN = "task/origin";
    TASK_LIVE = "task/live";
    TASK_RECORDS = "task/records";
    TASK_TIMELINE = "task/timeline";
    COUNTER_ADD = "counter/add";
    COUNTER_DROP = "counter/drop";
    COUNTER_LIST = "counter/list";
    COUNTER_ADD_TALLY = "counter/add_tally";
    COUNTER_TALLIES = "counter/tallies";
    COUNTER_FOLD = "counter/fold";
    COUNTER_FOLD_TALLIES = "counter/fold_tallies";
    COUNTER_FOLD_LOCK = "counter/fold_lock";
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
    ERASE_DROP_HISTORY = "erase/drop_history";
}

/// The lists of history in their other order, by their text.
static NEWEST_FIRST: LazyLock<BTreeMap<&'static str, Statement>> = LazyLock::new(|| {
    let lists = [&HISTORY_ALL, &HISTORY_OF_ENTITY, &HISTORY_OF_TASK, &HISTORY_OF_STEP, &HISTORY_OF_KIND];
    let turned = |list: &Statement| list.text.replace("order by h.seq asc", "order by h.seq desc");
    lists.map(|list| (list.text.as_ref(), Statement { text: Cow::Owned(turned(list)), types: OnceLock::new() })).into()
});

/// The list of history in its other order; any other statement as it is.
pub(super) fn newest_first(list: &'static Statement) -> &'static Statement {
    NEWEST_FIRST.get(list.text.as_ref()).unwrap_or(list)
}

/// The migrations in order; the first one makes schema 1.
pub(crate) const MIGRATIONS: [&str; 5] = [
    include_str!("../../sql/postgres/migrations/0001_first.sql"),
    include_str!("../../sql/postgres/migrations/0002_postponed.sql"),
    include_str!("../../sql/postgres/migrations/0003_functions.sql"),
    include_str!("../../sql/postgres/migrations/0004_views.sql"),
    include_str!("../../sql/postgres/migrations/0005_attach.sql"),
];
