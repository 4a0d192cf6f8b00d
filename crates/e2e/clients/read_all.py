"""Reads one row or more of each topic as any Confluent client would: with nothing but the registry's URL.

Prints one JSON object: by topic, how many rows were read and the first of them. A row that can't be read ends it.
"""
import json
import sys

from confluent_kafka import Consumer, KafkaError, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def read(bootstrap, deserialize, topic):
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "read-all",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
    })
    partitions = list(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    rows, ended = [], set()
    while len(ended) < len(partitions):
        message = consumer.poll(10)
        if message is None:
            sys.exit(f"{topic}: nothing comes, and not the end either")
        error = message.error()
        if error is None:
            rows.append(deserialize(message.value(), SerializationContext(topic, MessageField.VALUE)))
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        else:
            sys.exit(f"{topic}: {error}")
    consumer.close()
    return rows


def main(bootstrap, registry, *topics):
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    found = {}
    for topic in topics:
        rows = read(bootstrap, deserialize, topic)
        found[topic] = {"rows": len(rows), "first": rows[0] if rows else None}
    print(json.dumps(found))


main(*sys.argv[1:])
