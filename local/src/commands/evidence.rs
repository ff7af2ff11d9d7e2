//! What a system that came to rest says of itself.

use invariants::Evidence;

use crate::error::LocalError;
use crate::stack::Stack;
use crate::store_view::{self, Store, Tables};

/// Everything that the invariants are judged by. `accepted`: the orders that the API accepted;
/// `rewrites`: changes of the event store that were not new items.
///
/// # Errors
/// [`LocalError::Store`] for tables that cannot be read.
pub(super) async fn evidence(
    stack: &Stack,
    accepted: Vec<String>,
    rewrites: Option<u64>,
) -> Result<Evidence, LocalError> {
    let tables = Tables::of(stack.template());
    Ok(Evidence {
        stored: store_view::read(Store::Endpoint(stack.endpoint()), &tables).await?,
        published: Some(stack.published()),
        accepted,
        given_up: stack.given_up().await?,
        rewrites,
        gateway: stack.gateway_moves().await,
        gateway_gaps: false,
    })
}
