//! The real handlers, over the ports of a world.

use std::sync::Arc;

use aws_adapters::eventbridge_publisher::EventBridgePublisher;
use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use aws_adapters::lambda::{answer, event_of};
use aws_adapters::stream_record::BatchAnswer;
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use jiff::SignedDuration;
use process_payment::guarded_gateway::GuardedGateway;
use serde_json::Value;

use crate::mutants::Mutant;
use crate::world::bus::Bus;
use crate::world::clock::WorldClock;
use crate::world::gateway::Gateway;
use crate::world::mail::Mailer;
use crate::world::rows::{Rows, Tables};
use crate::world::store::Store;
use crate::world::webhook::Secret;
use crate::world::{World, lock};

/// How long after its confirmation an order can be cancelled.
const GRACE: SignedDuration = SignedDuration::from_mins(15);

/// The programs that [`call`] knows.
pub const HOSTED: [&str; 10] = [
    "place-order",
    "cancel-order",
    "restock-inventory",
    "payment-webhook",
    "publish-events",
    "record-events",
    "update-inventory",
    "process-payment",
    "notify-user",
    "project-orders",
];

/// The handler that charges, with the memory that its process has of the gateway.
pub type Payments =
    process_payment::handler::Handler<Store, GuardedGateway<Gateway, WorldClock>, WorldClock>;

fn payments(world: &Arc<World>, clock: &WorldClock) -> Payments {
    Payments {
        store: Store::new(world),
        gateway: GuardedGateway::new(Gateway(Arc::clone(world)), clock.clone()),
        clock: clock.clone(),
    }
}

/// Calls a function, as `main` of its crate wires it.
///
/// # Errors
/// How the handler failed.
pub async fn call(
    world: &Arc<World>,
    program: &str,
    payload: Value,
    request_id: &str,
) -> Result<Value, Failure> {
    match program {
        "place-order" | "cancel-order" | "restock-inventory" | "payment-webhook" => {
            let request = HttpRequest::from_payload(payload)?;
            let answered = http(world, program, &request).await;
            Ok(answer(answered).into_payload())
        }
        "publish-events" => {
            let handler = publish_events::handler::Handler {
                publisher: EventBridgePublisher::over(Bus(Arc::clone(world))),
            };
            // Without a queue of their own: what is given up comes again, as from a platform.
            handler.handle(payload).await.map(BatchAnswer::into_payload)
        }
        "project-orders" => {
            let handler = project_orders::handler::Handler {
                store: Store::new(world),
                tables: Tables(Rows(Arc::clone(world))),
            };
            // Without a queue of their own: what is given up comes again, as from a platform.
            handler.handle(payload).await.map(BatchAnswer::into_payload)
        }
        _ => consume(world, program, event_of(payload)?, request_id)
            .await
            .map(|()| Value::Null),
    }
}

/// Functions behind the HTTP API.
async fn http(
    world: &Arc<World>,
    program: &str,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let clock = WorldClock::World(Arc::clone(world));
    let store = Store::new(world);
    match program {
        "place-order" => {
            let handler = place_order::handler::Handler { store, clock };
            handler.handle(request).await
        }
        "cancel-order" => {
            let handler = cancel_order::handler::Handler {
                store,
                clock,
                grace: GRACE,
            };
            handler.handle(request).await
        }
        "restock-inventory" => {
            let handler = restock_inventory::handler::Handler {
                store: store.clone(),
                stock: store,
                clock,
            };
            handler.handle(request).await
        }
        _ => {
            let handler = payment_webhook::handler::Handler {
                store: if world.has(Mutant::WebhookCountedTwice) {
                    Store::blind(world)
                } else {
                    store
                },
                gateway: Gateway(Arc::clone(world)),
                secret: Secret,
                clock,
            };
            handler.handle(request).await
        }
    }
}

/// Consumers of the bus.
async fn consume(
    world: &Arc<World>,
    program: &str,
    trigger: Envelope,
    request_id: &str,
) -> Result<(), Failure> {
    let clock = WorldClock::World(Arc::clone(world));
    let store = Store::new(world);
    match program {
        "record-events" => {
            let handler = record_events::handler::Handler { store };
            handler.handle(trigger).await
        }
        "update-inventory" => {
            let handler = update_inventory::handler::Handler { store, clock };
            handler.handle(&trigger).await
        }
        "process-payment" => {
            let handler = if world.has(Mutant::StaleTriggerTrusted) {
                Arc::new(payments(world, &WorldClock::Stopped(trigger.at())))
            } else {
                let mut running = lock(&world.payments);
                Arc::clone(running.get_or_insert_with(|| Arc::new(payments(world, &clock))))
            };
            handler.handle(&trigger).await
        }
        "notify-user" => {
            let notifier = Mailer(Arc::clone(world));
            if world.has(Mutant::SentWithoutClaim) {
                notifier.send_about(&trigger).await;
            }
            let handler = notify_user::handler::Handler {
                store,
                notifier,
                clock,
            };
            handler.handle(&trigger, request_id).await
        }
        _ => Err(Failure::Permanent(format!("{program} is not simulated"))),
    }
}
