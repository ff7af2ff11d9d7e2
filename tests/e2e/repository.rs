//! The files of the repository, and the stack that its template means.

use std::path::Path;

use local::template::context_to_read;
use sam_template::{Context, Stack};

use crate::system::workspace;

/// The text of a file.
pub fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap()
}

/// The template's stack with these parameters.
pub fn stack(parameters: &[(&str, &str)]) -> Stack {
    let context = Context {
        parameters: parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..context_to_read()
    };
    stack_in(&context)
}

/// The template's stack in these surroundings.
pub fn stack_in(context: &Context) -> Stack {
    Stack::from_yaml(&read("template.yaml"), context).unwrap()
}
