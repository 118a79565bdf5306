//! `hence schema`: the JSON Schema of definitions, for editors.

use crate::output;
use crate::problem::Exit;

pub(crate) fn run() -> Exit {
    output::json(&hence::core::definition::json_schema());
    Exit::Done
}
