"""Kafka in and out: what is stored is in the mirror, what a topic has is stored once."""

import json
import tempfile
from collections import defaultdict
from pathlib import Path

from cluster import Cluster
from system import System, eventually

MIRROR = "orderflow_events"
LATE = "made_later"
PLAIN = "order_events"


def mirrored(cluster, topic):
    """The events of the mirror by stream; each record is under its order, and says what it is."""
    streams = defaultdict(list)
    for record in cluster.records(topic):
        event = json.loads(record.value())
        assert record.key().decode() == event["data"].get("orderId", event["streamId"])
        headers = {name: value.decode() for name, value in record.headers()}
        assert headers["eventId"] == event["eventId"] and headers["eventType"] == event["eventType"]
        assert "@example.com" not in record.value().decode(), "contacts are sealed in the mirror, too"
        streams[event["streamId"]].append(event)
    return streams


def first_of_each(events):
    """Without what came again: a mirror has everything at least once."""
    first = {}
    for event in events:
        first.setdefault(event["version"], event)
    return list(first.values())


def is_mirrored(cluster, system, order, topic=MIRROR):
    stored = system.events(order)
    found = first_of_each(mirrored(cluster, topic)[f"order-{order}"])
    if len(found) < len(stored):
        return False
    assert found == stored, f"{found} is not {stored}"
    assert [event["version"] for event in found] == list(range(1, len(found) + 1))
    return True


def outage(cluster, system):
    """While there is no topic events wait; a redrive brings them in their order."""
    orders = [system.place(f"key-{n}", f"user-{n}") for n in range(3)]
    for order in orders:
        system.confirmed(order)
    # Three of each order, two that tell each customer, and the stock's.
    eventually("all events wait", lambda: system.letters("mirror-events") == 3 * 5 + 1)
    cluster.create(LATE)
    assert not cluster.records(LATE)
    system.run("dlq", "redrive", "--consumer", "mirror-events", "--by", "ops", "--why", "there is a topic")
    for order in orders:
        assert is_mirrored(cluster, system, order, LATE)
    assert len(mirrored(cluster, LATE)) == 3 * 3 + 1
    assert system.letters("mirror-events") == 0
    print("outage: 16 events waited as dead letters, and are mirrored in their order after a redrive")


def out(cluster, system):
    """What is stored is mirrored at once, and as it is stored."""
    orders = [system.place(f"key-{n}", f"user-{n}") for n in range(3)]
    for order in orders:
        system.confirmed(order)
        eventually(f"order {order} is mirrored", lambda: is_mirrored(cluster, system, order))
    assert system.letters("mirror-events") == 0
    print("out: 3 orders are in the mirror event by event, as they are stored")


def plain(event_id, order, **more):
    return {"eventId": event_id, "eventType": "OrderPlaced", "timestamp": "2025-01-01T12:00:00Z",
            "data": {"orderId": order, "userId": "abc123", "totalAmount": 150.75, **more}}


def bring(cluster, system, *more):
    return system.run("kafka", "--bootstrap", cluster.bootstrap, "--until-end", *more).stdout


def into(cluster, system):
    """Plain events are recorded once, whatever comes with them."""
    cluster.create(PLAIN)
    trace = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
    cluster.produce(PLAIN, "67890", plain("12345", "67890"), [("traceparent", trace.encode())])
    cluster.produce(PLAIN, "67890", plain("12345", "67890"))
    cluster.produce(PLAIN, "67890", None)
    for bad in [b"\xff\xfe", b'{"eventId": "secret-1"', plain("1", "1") | {"version": 1, "streamId": "order-1"}]:
        cluster.produce(PLAIN, "67890", bad)
    for order in range(20):
        cluster.produce(PLAIN, f"k-{order}", plain(f"e-{order}", f"k-{order}"))
    offsets = system.folder / "offsets.json"
    said = bring(cluster, system, "--offsets", offsets)
    assert said.endswith("26 records brought, the topic is at its end\n"), said
    for order in ["67890", *(f"k-{order}" for order in range(20))]:
        assert system.confirmed(order)["totalAmount"] == 150.75
    assert system.letters("ingest-kafka") == 3
    stored = system.events("67890")
    assert (stored[0]["eventId"], stored[0]["version"]) == ("12345", 1)
    assert stored[0]["traceparent"] == trace
    # From where it ended there is nothing; from the beginning there is nothing new.
    assert bring(cluster, system, "--offsets", offsets).startswith("0 records")
    assert bring(cluster, system).endswith("26 records brought, the topic is at its end\n")
    cluster.produce(PLAIN, "last", plain("last", "last"))
    assert "1 records brought" in bring(cluster, system, "--offsets", offsets)
    system.confirmed("last")
    assert system.events("67890") == stored
    eventually("what came in is mirrored", lambda: is_mirrored(cluster, system, "last"))
    assert "secret-1" not in system.log()
    print("in: 22 plain events recorded once each, 3 bad records are dead letters, a repeat changes nothing")


def run(flows, cluster, topic):
    parameters = {"KafkaMirror": cluster.bootstrap, "KafkaMirrorTopic": topic,
                  "KafkaMirrorSecurity": "plaintext"}
    with tempfile.TemporaryDirectory() as folder:
        system = System(Path(folder), parameters)
        try:
            system.expect(200, "PUT", "/inventory/tea", {"restock": 10, "unitPrice": 4.5})
            for flow in flows:
                flow(cluster, system)
        except BaseException:
            print(system.log()[-6000:])
            raise
        finally:
            system.end()


def main():
    cluster = Cluster(3)
    cluster.create(MIRROR)
    run([out, into], cluster, MIRROR)
    run([outage], cluster, LATE)


main()
