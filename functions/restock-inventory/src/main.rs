//! `PUT /inventory/{sku}` (HTTP API) → restock → `InventoryUpdated(restocked)` (event store, with the stock).

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    restock_inventory::run().await
}
