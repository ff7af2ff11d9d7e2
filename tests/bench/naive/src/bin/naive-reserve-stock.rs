//! `OrderPlaced` (bus) → take stock → `StockReserved` | `StockRejected`; `PaymentFailed` → give it back.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    naive_orders::reserve_stock::run().await
}
