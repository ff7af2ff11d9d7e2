"""The sample orders of `cargo local demo` (events/demo), sent to a deployed stack."""

import json
import time

ENDS_SECONDS = 60


class Mismatch(Exception):
    """What came of a sample is not what its file expects."""


class Shop:
    """Speaks to the stack as a shop, a customer and an operator do."""

    def __init__(self, emulator, api_id, bus, token):
        self._emulator = emulator
        self._api_id = api_id
        self._events = emulator.client("events")
        self._bus = bus
        self._token = token

    def send(self, method, path, body=None, headers=None, token=None):
        """A request, by an operator unless another token is given."""
        token = token or self._token
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        headers = {**authorization, **(headers or {})}
        return self._emulator.request(self._api_id, method, path, body, headers)

    def stock(self, lines):
        for line in lines:
            body = {key: line[key] for key in ("available", "unitPrice", "currency") if key in line}
            self._expect(200, "PUT", f"/inventory/{line['sku']}", body)

    def _expect(self, wanted, method, path, body=None, headers=None):
        status, answer = self.send(method, path, body, headers)
        if status != wanted:
            raise Mismatch(f"{method} {path} answers {status}: {json.dumps(answer)}")
        return answer

    def play(self, sample):
        """Does what a sample says, and gives its order once it is at its end."""
        self.stock(sample.get("stock", []))
        if "put" in sample:
            order = self._put(sample["put"])
        else:
            order = self._place(sample)
        if sample.get("then") == "cancel":
            self._until(order, "confirmed")
            self._expect(202, "POST", f"/orders/{order}/cancel")
        self._until(order, sample["expect"]["status"])
        events = self._settled_events(order, sample["expect"]["events"])
        # The refund and the release of the stock race each other.
        if sorted(events) != sorted(sample["expect"]["events"]):
            raise Mismatch(f"its events are {events}")
        return order

    def _put(self, event):
        entry = {"EventBusName": self._bus, "Source": "legacy.shop",
                 "DetailType": event["eventType"], "Detail": json.dumps(event)}
        if self._events.put_events(Entries=[entry])["FailedEntryCount"]:
            raise Mismatch("the bus does not take its event")
        return event["data"]["orderId"]

    def _place(self, sample):
        key = {"Idempotency-Key": f"deployment-{sample['name']}"}
        placed = self._expect(202, "POST", "/orders", sample["request"], key)
        if sample.get("then") == "repeat":
            again = self._expect(202, "POST", "/orders", sample["request"], key)
            if again["orderId"] != placed["orderId"]:
                raise Mismatch("the same request made two orders")
        if sample.get("then") == "repeat-with-another-body":
            other = {**sample["request"], "items": [
                {**item, "quantity": item["quantity"] + 1} for item in sample["request"]["items"]]}
            self._expect(422, "POST", "/orders", other, key)
        return placed["orderId"]

    def _until(self, order, wanted):
        deadline = time.monotonic() + ENDS_SECONDS
        while True:
            status, answer = self.send("GET", f"/orders/{order}")
            if status == 200 and answer["status"] == wanted:
                return
            if time.monotonic() > deadline:
                raise Mismatch(f"it is {answer.get('status', status)} and not {wanted}")
            time.sleep(0.1)

    def _settled_events(self, order, wanted):
        deadline = time.monotonic() + ENDS_SECONDS
        while True:
            _, answer = self.send("GET", f"/orders/{order}/events")
            events = [_name(event) for event in answer["events"]]
            if len(events) >= len(wanted) or time.monotonic() > deadline:
                return events
            time.sleep(0.1)


def _name(event):
    reason = event["data"].get("reason") if event["eventType"] == "InventoryUpdated" else None
    return f"{event['eventType']}({reason})" if reason else event["eventType"]


def notifications(dynamodb, table):
    """How often each event was told of, by the event's id."""
    told = {}
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        for item in page["Items"]:
            if item["eventType"]["S"] == "UserNotified":
                cause = item["causationId"]["S"]
                told[cause] = told.get(cause, 0) + 1
    return told
