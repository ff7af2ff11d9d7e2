//! An event as its leaves, and the search for leaves that satisfy all fields of a pattern.

use serde_json::Value;

use super::compile::{Branch, Field};

/// A scalar of the event.
pub(super) struct Leaf<'e> {
    /// The keys joined with dots, as EventBridge joins them; arrays add nothing.
    path: String,
    value: &'e Value,
    /// The arrays on the way, each with the position in it.
    trail: Vec<(usize, usize)>,
}

/// The scalars of an event. An empty array or object has none.
pub(super) fn leaves(event: &Value) -> Vec<Leaf<'_>> {
    let mut walk = Walk::default();
    walk.visit(event);
    walk.leaves
}

#[derive(Default)]
struct Walk<'e> {
    path: Vec<&'e str>,
    trail: Vec<(usize, usize)>,
    arrays: usize,
    leaves: Vec<Leaf<'e>>,
}

impl<'e> Walk<'e> {
    fn visit(&mut self, value: &'e Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.path.push(key);
                    self.visit(value);
                    self.path.pop();
                }
            }
            Value::Array(items) => {
                let array = self.arrays;
                self.arrays += 1;
                for (position, item) in items.iter().enumerate() {
                    self.trail.push((array, position));
                    self.visit(item);
                    self.trail.pop();
                }
            }
            scalar => self.leaves.push(Leaf {
                path: self.path.join("."),
                value: scalar,
                trail: self.trail.clone(),
            }),
        }
    }
}

/// Whether one leaf can be found for every field, no two of them in different items of the same
/// array, and none at an absent field.
pub(super) fn satisfy(branch: &Branch, leaves: &[Leaf<'_>]) -> bool {
    let is_there = |path: &String| leaves.iter().any(|leaf| leaf.path == *path);
    !branch.absent.iter().any(is_there) && search(&branch.fields, leaves, &mut Vec::new())
}

fn search<'l>(fields: &[Field], leaves: &'l [Leaf<'_>], chosen: &mut Vec<&'l Leaf<'l>>) -> bool {
    let Some((field, rest)) = fields.split_first() else {
        return true;
    };
    let passes = |leaf: &&Leaf<'_>| {
        leaf.path == field.path && field.tests.iter().any(|test| test.passes(leaf.value))
    };
    for leaf in leaves.iter().filter(passes) {
        if chosen.iter().all(|other| agree(&other.trail, &leaf.trail)) {
            chosen.push(leaf);
            if search(rest, leaves, chosen) {
                return true;
            }
            chosen.pop();
        }
    }
    false
}

/// Whether two leaves are in the same item of every array that they share.
fn agree(left: &[(usize, usize)], right: &[(usize, usize)]) -> bool {
    let shared = left.iter().zip(right);
    shared
        .take_while(|((array, _), (other, _))| array == other)
        .all(|((_, position), (_, other))| position == other)
}
