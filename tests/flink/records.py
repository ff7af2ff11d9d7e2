"""Recorded records, the same ones for a seed: `records.py COUNT > FILE`.

One JSON object a line, as they arrived: what the analytics stream holds, with the shard, the
sequence number and the time of arrival beside it.
"""

import json
import random
import re
import sys
from datetime import datetime, timedelta, timezone

START = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
SHARDS = 4
# Digits behind the point.
CURRENCIES = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
UNITS = {"temperature": "°C", "humidity": "% rel", "door": "1"}
SPECIAL = (None, None, None, None, "offset", "edge", "edge", "ahead", "late", "too late", "too early", "malformed")


def rfc3339(millis, random, offset=False):
    """A time, with up to 9 digits of a second; now and then not in UTC."""
    at = START + timedelta(milliseconds=millis)
    fraction = f"{millis % 1000:03}"
    if random.random() < 0.3:
        fraction += f"{random.randrange(10**6):06}"
    fraction = fraction.rstrip("0")
    if offset:
        at = at.astimezone(timezone(timedelta(hours=5, minutes=30)))
        return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "+05:30"
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z"


class Shop:
    """Makes records of a stretch of time, each `(arrived, key, data)`."""

    def __init__(self, random, count):
        self.random = random
        # 6,000 records a minute: a busy shop.
        self.span = max(count * MINUTE_MS // 6_000, 10 * MINUTE_MS)
        self.records, self.made, self.measured = [], 0, set()

    def moment(self):
        """When something happened and when it arrived, in milliseconds from the start."""
        happened = self.random.randrange(self.span)
        delay = int(self.random.expovariate(1 / 800))
        what = self.random.choice(SPECIAL) if self.random.random() < 0.2 else None
        if what == "edge":
            # At the boundary of a minute, or just when it stops waiting for what is on time.
            happened -= happened % MINUTE_MS + self.random.choice((0, 1))
            happened = max(happened, 0)
            if self.random.random() < 0.5:
                delay = (happened // MINUTE_MS + 3) * MINUTE_MS - happened - self.random.choice((0, 1))
        elif what == "ahead":
            delay = -self.random.choice((1, 5_000, 29_999, 30_000))
        elif what == "late":
            delay = self.random.choice((150_000, 240_000, HOUR_MS, 47 * HOUR_MS))
        elif what == "too late":
            delay = self.random.choice((49 * HOUR_MS, 80 * HOUR_MS))
        elif what == "too early":
            delay = -self.random.choice((30_001, HOUR_MS))
        return happened, happened + delay, what

    def keep(self, arrived, key, data):
        self.records.append((arrived, key, data))
        # At least once: some come again soon, some when they are late.
        if self.random.random() < 0.03:
            again = arrived + self.random.choice((0, 1, 900, 50_000, 200_000))
            self.records.append((again, key, data))

    def event(self, kind, order, data, happened, arrived, what):
        self.made += 1
        fields = {"eventId": f"event-{self.made}", "eventType": kind,
                  "timestamp": rfc3339(happened, self.random, what == "offset"), "data": data}
        record = {"version": "0", "detail-type": kind, "source": "orderflow", "detail": fields}
        if what == "malformed":
            self.random.choice((
                lambda: fields.pop("timestamp"),
                lambda: fields.update(timestamp="yesterday"),
                lambda: fields.pop("eventId"),
                lambda: fields.pop("data"),
                lambda: record.update({"detail-type": "SomethingElse"}),
                lambda: record.pop("detail"),
            ))()
        self.keep(arrived, order, record)

    def order(self):
        """One event of an order."""
        happened, arrived, what = self.moment()
        order = f"order-{self.random.randrange(10**9)}"
        currency = self.random.choice(list(CURRENCIES))
        scale = 10 ** CURRENCIES[currency]
        cents = self.random.choice((self.random.randrange(1, 50_000), 99_999_999_999_999))
        fraction = f".{cents % scale:0{CURRENCIES[currency]}}" if scale > 1 else ""
        amount = f"exactly {cents // scale}{fraction}"
        data = {"orderId": order, "userId": f"user-{int(self.random.paretovariate(0.6)) % 20_000}",
                "totalAmount": amount, "currency": currency}
        if currency == "USD" and self.random.random() < 0.3:
            del data["currency"]
        kind = self.random.choices(
            ("OrderPlaced", "PaymentProcessed", "InventoryRejected", "PaymentFailed", "OrderCancelled",
             "PaymentRefunded", "UserNotified", "InventoryUpdated"), (30, 25, 3, 4, 3, 2, 20, 13))[0]
        if kind == "OrderPlaced":
            data["items"] = [
                {"sku": f"sku-{int(self.random.paretovariate(0.8)) % 400}", "unitPrice": "exactly 1.50",
                 "quantity": self.random.randrange(1, 9)} for _ in range(self.random.randrange(4))]
        elif kind == "PaymentProcessed":
            if self.random.random() < 0.97:
                # Some before they were placed, some longer than any histogram reaches.
                took = int(self.random.choices((
                    self.random.lognormvariate(7, 1.5), self.random.randrange(-20, 600),
                    self.random.randrange(10**10)), (70, 28, 2))[0])
                data["placedAt"] = rfc3339(happened - took, self.random)
        elif kind == "InventoryRejected":
            data["shortages"] = [{"sku": "sku-1", "reason": "out_of_stock"}]
        elif kind == "OrderCancelled":
            data["reason"] = "requested"
        elif kind == "PaymentRefunded":
            data["paymentId"] = "payment-1"
        elif kind == "PaymentFailed":
            data["reason"] = "card declined"
        self.event(kind, order, data, happened, arrived, what)

    def reading(self):
        """One reading of a device; of one sensor no two are of the same millisecond."""
        happened, arrived, what = self.moment()
        device, sensor = f"device-{self.random.randrange(40)}", self.random.choice(list(UNITS))
        while (device, sensor, happened) in self.measured:
            happened += 1
        self.measured.add((device, sensor, happened))
        value = self.random.choice((
            f"{self.random.uniform(-40, 60):.{self.random.randrange(1, 16)}f}",
            str(self.random.randrange(10**12)), f"{self.random.randrange(1, 99)}e-{self.random.randrange(12)}"))
        record = {"deviceId": device, "sensor": sensor, "value": f"exactly {value}", "unit": UNITS[sensor],
                  "at": rfc3339(happened, self.random, what == "offset")}
        if self.random.random() < 0.1:
            self.made += 1
            record["eventId"] = f"event-{self.made}"
        if sensor == "humidity" and self.random.random() < 0.01:
            record["unit"] = "ppm"
        if what == "malformed":
            self.random.choice((
                lambda: record.update(value="warm"), lambda: record.pop("unit"), lambda: record.pop("at")))()
        self.keep(arrived, device, record)


def written(record):
    """JSON with numbers digit by digit: `json` alone would write them as binary floats."""
    return re.sub(r'"exactly ([^"]+)"', r"\1", json.dumps(record, ensure_ascii=False))


def main():
    count = int(sys.argv[1])
    shop = Shop(random.Random(20_260_301), count)
    while len(shop.records) < count:
        shop.order() if shop.random.random() < 0.6 else shop.reading()
    base = int(START.timestamp() * 1000)
    shop.records.sort(key=lambda record: record[0])
    for sequence, (arrived, key, data) in enumerate(shop.records, 10**20):
        shard = sum(key.encode()) % SHARDS
        where = {"shardId": f"shardId-{shard:012}", "sequenceNumber": str(sequence),
                 "arrivedMs": base + arrived}
        print(written(where | data))


if __name__ == "__main__":
    main()
