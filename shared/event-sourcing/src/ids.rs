//! Derived ids: the same step gives the same id, so that its repeat is recognised.

use uuid::Uuid;

/// Name space of every derived id, so that they differ from other version-5 UUIDs.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f72_6465_7266_6c6f_772e_6576_656e_7473);

/// A version-5 UUID over parts, each prefixed by its length so that ("ab", "c") and ("a", "bc")
/// differ.
#[must_use]
pub fn derive(parts: &[&str]) -> String {
    let mut name = String::new();
    for part in parts {
        name.push_str(&part.len().to_string());
        name.push(':');
        name.push_str(part);
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

/// The id of the `index`-th event that `seed` gives rise to in `purpose` on `stream`: a repeat of
/// the same step gives the same id.
///
/// ```
/// use event_sourcing::ids::event_id;
///
/// let id = event_id("order-1", "trigger", "update-inventory", 0);
/// assert_eq!(id, event_id("order-1", "trigger", "update-inventory", 0));
/// assert_ne!(id, event_id("order-2", "trigger", "update-inventory", 0));
/// ```
#[must_use]
pub fn event_id(stream: &str, seed: &str, purpose: &str, index: usize) -> String {
    derive(&[stream, seed, purpose, &index.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(derive(&["ab", "c"]), derive(&["a", "bc"]));
        assert_ne!(derive(&["a", ""]), derive(&["", "a"]));
    }
}
