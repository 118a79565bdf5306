//! What events mean for a plan: who is cancelled by them, and how far they shift the anchor.
//!
//! An event counts when it happened at or after the enrolment, in whatever order events and enrolment were told.

use jiff::Timestamp;

use super::{PlanInput, SeenEvent};
use crate::calendar::{Offset, Zone};
use crate::definition::{Reaction, Trigger};
use crate::expression::Context;
use crate::interpolation::Interpolation;
use crate::name::Name;
use crate::reason::Reason;
use crate::value::Value;

/// Why an event cannot shift anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShiftError {
    /// The text could not be made from what the event carries.
    #[error("`shift = \"{rule}\"` cannot be filled in: {problem}")]
    Render {
        /// The rule.
        rule: String,
        /// What is missing.
        problem: String,
    },
    /// The text is not a span of time.
    #[error("`{text}` is not a span such as `7 days`")]
    Span {
        /// The text.
        text: String,
    },
}

/// The span by which an event's `shift` moves the anchor.
/// # Errors
/// [`ShiftError`]: the event does not carry what the rule needs.
pub fn shift_of(shift: &Interpolation, data: &serde_json::Value) -> Result<Offset, ShiftError> {
    let context = Context::new().with("event", Value::from_json(data));
    let text =
        shift.render(&context).map_err(|error| ShiftError::Render { rule: shift.to_string(), problem: error.to_string() })?;
    Offset::parse(&text).map_err(|_| ShiftError::Span { text })
}

/// The events that the timeline has lived through, each with what the definition says of it.
fn reactions<'a>(input: PlanInput<'a>) -> impl Iterator<Item = (&'a SeenEvent, &'a Reaction)> {
    input
        .events
        .iter()
        .filter(move |event| event.at >= input.timeline.enrolled_at)
        .filter_map(move |event| input.definition.on.get(&event.name).map(|reaction| (event, reaction)))
}

/// The first event that cancelled the step, as a reason, and whether one that is being told cancels it.
pub(super) fn cancelled_by(input: PlanInput<'_>, step: &Name) -> Option<(Reason, bool)> {
    let cancels = || reactions(input).filter(|(_, reaction)| reaction.cancel.as_ref().is_some_and(|whom| whom.includes(step)));
    let (event, reaction) = cancels().min_by_key(|(event, _)| event.at)?;
    let is_cancelled_now = cancels().any(|(event, _)| event.is_new);
    let follows_cancel = input.definition.step(step).is_some_and(|step| match &step.trigger {
        Trigger::After { outcome, .. } => outcome.as_str() == "cancelled",
        Trigger::Anchor(_) => false,
    });
    if follows_cancel && reaction.cancel == Some(crate::definition::Selection::All) {
        return None;
    }
    let reason = Reason::Event {
        name: event.name.to_string(),
        at: event.at,
        actor: event.actor.clone(),
        data: event.data.clone(),
        text: reaction.reason.clone(),
    };
    Some((reason, is_cancelled_now))
}

/// `at` moved by every shift in the order it happened; a shift that cannot be read moves nothing, it was refused when told.
pub(super) fn shifted(input: PlanInput<'_>, at: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let mut shifts: Vec<(&SeenEvent, &Interpolation)> =
        reactions(input).filter_map(|(event, reaction)| Some((event, reaction.shift.as_ref()?))).collect();
    shifts.sort_by_key(|(event, _)| event.at);
    let mut at = at;
    for (event, shift) in shifts {
        if let Ok(span) = shift_of(shift, &event.data) {
            at = span.add_to(at, zone).ok()?;
        }
    }
    Some(at)
}
