// castore as its documentation uses it: an EventStore over the single-table adapter, commands that
// get the aggregate and push one event. Called as the other clients are (see ../flow).
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { Command, EventStore, EventType, tuple } from '@castore/core';
import { DynamoDBSingleTableEventStorageAdapter } from '@castore/event-storage-adapter-dynamodb';
import { once } from 'node:events';

const COMMITS = 4;
const STEPS = ['OrderPlaced', 'InventoryUpdated', 'PaymentProcessed', 'OrderConfirmed'];

const [endpoint, accessKeyId, , phase, workers, prefix, streams] = process.argv.slice(2);

const orders = new EventStore({
  eventStoreId: 'order',
  eventTypes: STEPS.map((type) => new EventType({ type })),
  reducer: (aggregate, event) => ({
    aggregateId: event.aggregateId,
    version: event.version,
    step: event.type,
    facts: event.payload,
  }),
  eventStorageAdapter: new DynamoDBSingleTableEventStorageAdapter({
    tableName: 'castore',
    dynamoDBClient: new DynamoDBClient({
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId, secretAccessKey: 'local' },
    }),
  }),
});

const advance = new Command({
  commandId: 'ADVANCE_ORDER',
  requiredEventStores: tuple(orders),
  handler: async ({ aggregateId, step, payload }, [eventStore]) => {
    const { aggregate } = await eventStore.getAggregate(aggregateId);
    if (STEPS.indexOf(aggregate?.step) + 1 !== STEPS.indexOf(step)) {
      throw new Error("the step is not the order's next one");
    }
    await eventStore.pushEvent(
      { aggregateId, version: (aggregate?.version ?? 0) + 1, type: step, payload },
      { prevAggregate: aggregate },
    );
  },
});

const facts = (stream) => ({
  orderId: stream,
  userId: 'abc123',
  totalAmount: 3499,
  currency: 'USD',
  items: [
    { sku: 'tea-100', quantity: 2, unitPrice: 1250 },
    { sku: 'cup-7', quantity: 1, unitPrice: 999 },
  ],
});

const phases = {
  commit: async (aggregateId) => {
    for (const step of STEPS) {
      await advance.handler({ aggregateId, step, payload: facts(aggregateId) }, [orders]);
    }
  },
  append: async (aggregateId) => {
    for (const [before, type] of STEPS.entries()) {
      const payload = facts(aggregateId);
      await orders.pushEvent({ aggregateId, version: before + 1, type, payload });
    }
  },
  load: async (aggregateId) => {
    for (let again = 0; again < COMMITS; again += 1) {
      const { aggregate } = await orders.getAggregate(aggregateId);
      if (aggregate?.version !== COMMITS) {
        throw new Error(`${aggregateId} has ${aggregate?.version ?? 0} events, not ${COMMITS}`);
      }
    }
  },
};

const work = phases[phase];
const atOnce = (worker) => Promise.all(Array.from({ length: Number(workers) }, (_, n) => worker(n)));
await atOnce((n) => orders.getAggregate(`nothing-${n}`));
console.log('ready');
await once(process.stdin, 'data');
const started = process.hrtime.bigint();
const processor = process.cpuUsage();
await atOnce(async (first) => {
  for (let n = first; n < Number(streams); n += Number(workers)) {
    await work(`${prefix}-${n}`);
  }
});
const nanos = Number(process.hrtime.bigint() - started);
const { user, system } = process.cpuUsage(processor);
const processorNanos = (user + system) * 1000;
console.log(JSON.stringify({ operations: Number(streams) * COMMITS, nanos, processorNanos }));
process.exit(0);
