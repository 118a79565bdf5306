//! The codes of everything that can be wrong with a definition; `docs/errors/` has a page for each.
//!
//! A code keeps its meaning for ever: a new kind of problem takes a new number.

use crate::diagnostic::Code;

/// All codes with their titles, in order.
pub const CODES: &[(Code, &str)] = &[
    (SYNTAX, "the file is not valid TOML"),
    (LIMIT, "the file is larger than a limit"),
    (UNKNOWN_KEY, "unknown key"),
    (MISSING_KEY, "missing key"),
    (WRONG_TYPE, "value of the wrong type"),
    (UNKNOWN_WORD, "not one of the allowed words"),
    (NAME, "malformed name"),
    (VALUE, "value out of range"),
    (TIME_TEXT, "unreadable time, duration, zone or recurrence"),
    (EXPRESSION, "expression that cannot be read or does not fit the facts"),
    (NOT_A_CONDITION, "condition that is not true or false"),
    (INTERPOLATION, "text whose `{…}` cannot be filled in"),
    (UNKNOWN_STEP, "unknown step"),
    (UNKNOWN_OUTCOME, "outcome that the step cannot have"),
    (UNKNOWN_FACT, "unknown fact"),
    (FACT_TYPE, "fact of the wrong type"),
    (CONTRADICTION, "keys that cannot stand together"),
    (TAKEN_NAME, "name that is reserved or used twice"),
    (CYCLE, "steps or conditions that wait for each other"),
    (EXAMPLE, "test that does not fit the definition"),
    (ACTION, "`do` without exactly one receiver"),
    (UNKNOWN_CALENDAR, "unknown calendar"),
    (AFTER_BEFORE, "step that can come after the step it must be before"),
    (UNUSED_FACT, "fact that nothing uses"),
    (UNUSED_LET, "condition that nothing uses"),
    (IDLE_EVENT, "event that changes nothing"),
    (CONSTANT, "condition that is always the same"),
    (UNGUARDED, "nullable fact used where null is an error"),
    (ORDER, "steps in an odd order"),
    (LATE_AT_ONCE, "skipped or held as soon as it is late at all"),
    (LONG_RETRY, "retries that outlast the next step"),
    (RETRY_UNKNOWN, "retries beside at most once"),
    (UNUSED_CALENDAR, "calendar that nothing uses"),
    (UNHEARD_EVENT, "test with an event that the definition does not know"),
    (NEVER, "follow-up of an outcome that cannot come"),
];

pub(super) const SYNTAX: Code = Code("HNC-0101");
pub(super) const LIMIT: Code = Code("HNC-0102");
pub(super) const UNKNOWN_KEY: Code = Code("HNC-0103");
pub(super) const MISSING_KEY: Code = Code("HNC-0104");
pub(super) const WRONG_TYPE: Code = Code("HNC-0105");
pub(super) const UNKNOWN_WORD: Code = Code("HNC-0106");
pub(super) const NAME: Code = Code("HNC-0107");
pub(super) const VALUE: Code = Code("HNC-0108");
pub(super) const TIME_TEXT: Code = Code("HNC-0109");
pub(super) const EXPRESSION: Code = Code("HNC-0110");
pub(super) const NOT_A_CONDITION: Code = Code("HNC-0111");
pub(super) const INTERPOLATION: Code = Code("HNC-0112");
pub(super) const UNKNOWN_STEP: Code = Code("HNC-0113");
pub(super) const UNKNOWN_OUTCOME: Code = Code("HNC-0114");
pub(super) const UNKNOWN_FACT: Code = Code("HNC-0115");
pub(super) const FACT_TYPE: Code = Code("HNC-0116");
pub(super) const CONTRADICTION: Code = Code("HNC-0117");
pub(super) const TAKEN_NAME: Code = Code("HNC-0118");
pub(super) const CYCLE: Code = Code("HNC-0119");
pub(super) const EXAMPLE: Code = Code("HNC-0120");
pub(super) const ACTION: Code = Code("HNC-0121");
pub(super) const UNKNOWN_CALENDAR: Code = Code("HNC-0122");

pub(super) const AFTER_BEFORE: Code = Code("HNC-0201");
pub(super) const UNUSED_FACT: Code = Code("HNC-0202");
pub(super) const UNUSED_LET: Code = Code("HNC-0203");
pub(super) const IDLE_EVENT: Code = Code("HNC-0204");
pub(super) const CONSTANT: Code = Code("HNC-0205");
pub(super) const UNGUARDED: Code = Code("HNC-0206");
pub(super) const ORDER: Code = Code("HNC-0207");
pub(super) const LATE_AT_ONCE: Code = Code("HNC-0208");
pub(super) const LONG_RETRY: Code = Code("HNC-0209");
pub(super) const RETRY_UNKNOWN: Code = Code("HNC-0210");
pub(super) const UNUSED_CALENDAR: Code = Code("HNC-0211");
pub(super) const UNHEARD_EVENT: Code = Code("HNC-0212");
pub(super) const NEVER: Code = Code("HNC-0213");
