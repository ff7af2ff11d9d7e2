//! `OrderPlaced` (bus) → reserve → `InventoryUpdated(reserved)` | `InventoryRejected`; `PaymentFailed`, `OrderCancelled` (bus) → release → `InventoryUpdated(released)` (event store, with the stock).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    update_inventory::run().await
}
