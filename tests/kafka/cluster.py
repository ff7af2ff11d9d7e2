"""A Kafka cluster inside this process: librdkafka's mock, and clients of it."""

import json
import logging
import time

from confluent_kafka import Consumer, Producer, TopicPartition

SECONDS = 30
# What librdkafka itself says goes nowhere: brokers come and go with the tests.
LOG = logging.getLogger("librdkafka")
LOG.addHandler(logging.NullHandler())
LOG.propagate = False


class Cluster:
    """Lives as long as its first client."""

    def __init__(self, brokers):
        self._host = Producer({"test.mock.num.brokers": brokers}, logger=LOG)
        brokers = self._host.list_topics(timeout=SECONDS).brokers.values()
        self.bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        self._producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all"}, logger=LOG)

    def create(self, topic):
        """The mock makes a topic that somebody asks for by its name."""
        until = time.monotonic() + SECONDS
        while self._producer.list_topics(topic, timeout=SECONDS).topics[topic].error:
            if time.monotonic() > until:
                raise TimeoutError(f"topic {topic} is not there")

    def produce(self, topic, key, value, headers=None):
        """As producers of plain events do; a value of None is a tombstone."""
        failed = []
        if isinstance(value, dict):
            value = json.dumps(value).encode()
        self._producer.produce(
            topic, key=key, value=value, headers=headers,
            on_delivery=lambda error, _: failed.append(error) if error else None)
        if self._producer.flush(SECONDS) or failed:
            raise RuntimeError(f"not produced: {failed}")

    def records(self, topic):
        """All records of a topic, each partition in its order."""
        consumer = Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": "test", "enable.auto.commit": False,
        }, logger=LOG)
        records = []
        try:
            partitions = consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
            for number in partitions:
                start, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=SECONDS)
                consumer.assign([TopicPartition(topic, number, start)])
                position = start
                while position < end:
                    record = consumer.poll(SECONDS)
                    if record is None or record.error():
                        raise TimeoutError(f"no record {position} of {topic}-{number}")
                    records.append(record)
                    position = record.offset() + 1
        finally:
            consumer.close()
        return records
