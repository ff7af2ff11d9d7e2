//! The real handlers, over the ports of a world.

use std::sync::Arc;
use std::time::Duration;

use aws_adapters::eventbridge_publisher::EventBridgePublisher;
use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use aws_adapters::lambda::{Invocation, answer, event_of, settle, settle_batch};
use aws_adapters::metrics::Metrics;
use aws_adapters::order_contacts::Contacts;
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use event_sourcing::retry::budget;
use jiff::SignedDuration;
use process_payment::guarded_gateway::{self, GuardedGateway};
use serde_json::Value;

use crate::mutants::Mutant;
use crate::world::bus::Bus;
use crate::world::clock::WorldClock;
use crate::world::gateway::Gateway;
use crate::world::history::History;
use crate::world::keys::Keys;
use crate::world::letters::Letters;
use crate::world::mail::Mailer;
use crate::world::queues::OwnQueue;
use crate::world::redriving::{Calls, RedriverPlatform};
use crate::world::rows::{Rows, Tables};
use crate::world::store::Store;
use crate::world::webhook::Secret;
use crate::world::{World, lock};

/// How long after its confirmation an order can be cancelled.
const GRACE: SignedDuration = SignedDuration::from_mins(15);

/// What is kept of an invocation's time for its answer to reach the platform.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// The programs that [`call`] knows.
pub const HOSTED: [&str; 13] = [
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
    "redrive-dlq",
    "sweep-orders",
    "reconcile-events",
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

/// Contacts are sealed in every world but that of the bug.
fn contacts(world: &Arc<World>) -> Contacts<Keys> {
    Contacts {
        keys: Keys(Arc::clone(world)),
        seals: !world.has(Mutant::ContactStoredPlain),
    }
}

/// Calls a function, as `main` of its crate wires it.
///
/// # Errors
/// How the handler failed.
pub async fn call(
    world: &Arc<World>,
    program: &str,
    invocation: Invocation,
) -> Result<Value, Failure> {
    match program {
        "place-order" | "cancel-order" | "restock-inventory" | "payment-webhook" => {
            let request = HttpRequest::from_payload(invocation.payload)?;
            let answered = http(world, program, &request).await;
            Ok(answer(answered).into_payload())
        }
        "publish-events" | "project-orders" => stream(world, program, invocation).await,
        "redrive-dlq" | "sweep-orders" | "reconcile-events" => {
            let time = world.wiring.timeout(program).saturating_sub(ANSWER_TIME);
            let operated = Box::pin(operate(world, program, invocation.payload));
            budget::within(time, operated)
                .await
                .unwrap_or_else(|late| Err(Failure::Transient(late.to_string())))
        }
        _ => {
            let queue = own_queue(world, program);
            let handled = match event_of(invocation.payload.clone()) {
                Ok(event) => consume(world, program, event, &invocation).await,
                Err(failure) => Err(failure),
            };
            settle(Some(&queue), invocation, handled.map(|()| Value::Null)).await
        }
    }
}

fn own_queue(world: &Arc<World>, program: &str) -> OwnQueue {
    OwnQueue {
        world: Arc::clone(world),
        consumer: program.to_owned(),
    }
}

/// Consumers of the stream.
async fn stream(
    world: &Arc<World>,
    program: &str,
    invocation: Invocation,
) -> Result<Value, Failure> {
    let payload = invocation.payload.clone();
    let answer = if program == "publish-events" {
        let handler = publish_events::handler::Handler {
            publisher: EventBridgePublisher::over(Bus::of(world)),
        };
        handler.handle(payload).await?
    } else {
        let handler = project_orders::handler::Handler {
            store: Store::new(world),
            tables: Tables(Rows(Arc::clone(world))),
        };
        handler.handle(payload).await?
    };
    settle_batch(Some(&own_queue(world, program)), &invocation, answer).await
}

/// Functions that mend what went wrong.
async fn operate(world: &Arc<World>, program: &str, payload: Value) -> Result<Value, Failure> {
    match program {
        "redrive-dlq" => redrive(world, payload).await,
        "sweep-orders" if world.has(Mutant::NoSweeps) => Ok(Value::Null),
        "sweep-orders" => sweep(world, payload).await,
        _ if world.has(Mutant::NoReconciling) => Ok(Value::Null),
        _ => reconcile(world, payload).await,
    }
}

async fn redrive(world: &Arc<World>, payload: Value) -> Result<Value, Failure> {
    let calls = Calls::new(world);
    let handler = redrive_dlq::handler::Handler {
        letters: Letters {
            world: Arc::clone(world),
            calls: Arc::clone(&calls),
        },
        platform: RedriverPlatform {
            world: Arc::clone(world),
            calls: Arc::clone(&calls),
        },
        consumers: world.wiring.redriven.clone(),
        policy: world.wiring.redrive_policy,
        metrics: Metrics::silent(),
        clock: WorldClock::World(Arc::clone(world)),
    };
    let answer = handler.handle(payload).await;
    calls.end();
    answer
}

async fn sweep(world: &Arc<World>, payload: Value) -> Result<Value, Failure> {
    let handler = sweep_orders::handler::Handler {
        store: Store::new(world),
        publisher: EventBridgePublisher::over(Bus::of_healers(world)),
        open_orders: Rows(Arc::clone(world)),
        clock: WorldClock::World(Arc::clone(world)),
        patience: world.wiring.patience,
        metrics: Metrics::silent(),
    };
    handler.handle(payload).await
}

async fn reconcile(world: &Arc<World>, payload: Value) -> Result<Value, Failure> {
    let handler = reconcile_events::handler::Handler {
        stored: History(Arc::clone(world)),
        store: Store::new(world),
        markers: History(Arc::clone(world)),
        publisher: EventBridgePublisher::over(Bus::of_healers(world)),
        progress: History(Arc::clone(world)),
        clock: WorldClock::World(Arc::clone(world)),
        limits: world.wiring.limits,
        metrics: Metrics::silent(),
    };
    handler.handle(payload).await
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
            let handler = place_order::handler::Handler {
                store,
                contacts: contacts(world),
                clock,
            };
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
    invocation: &Invocation,
) -> Result<(), Failure> {
    let clock = WorldClock::World(Arc::clone(world));
    let store = Store::new(world);
    match program {
        "record-events" => {
            let handler = record_events::handler::Handler {
                store,
                contacts: contacts(world),
            };
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
            let work = handler.handle(&trigger);
            if invocation.is_redrive() {
                guarded_gateway::redriven(work).await
            } else {
                work.await
            }
        }
        "notify-user" => {
            let notifier = Mailer {
                world: Arc::clone(world),
                call: invocation.request_id.clone(),
            };
            if world.has(Mutant::SentWithoutClaim) {
                notifier.send_about(&trigger).await;
            }
            let handler = notify_user::handler::Handler {
                store,
                notifier,
                contacts: contacts(world),
                clock,
            };
            let Invocation {
                request_id,
                redrive_of,
                ..
            } = invocation;
            handler.handle(&trigger, request_id, redrive_of).await
        }
        _ => Err(Failure::Permanent(format!("{program} is not simulated"))),
    }
}
