#!/usr/bin/env python3
"""confluent-kafka's Avro serializer and registry client against a registry.

    pip install 'confluent-kafka[avro,schemaregistry]'
    avro_round_trip.py REGISTRY_URL [BOOTSTRAP]

Prints a line "PASS check | what was seen" or "FAIL check | why" for each check; exit status 1 if one has failed. With
BOOTSTRAP (host:port) records go over a broker, too.

What is expected are the answers of Confluent's registry. Apicurio Registry 2.4 differs in three of them: it gives a
schema with other spaces another id, an unknown subject the code of an unknown version, and lists a deleted version.
"""

import json
import sys
import uuid

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

TRIP = {"trip_id": "trip-1", "distance": 12.5, "rider": {"name": "Zoë", "rating": None}}


def record(*fields, name="Trip"):
    return json.dumps({"type": "record", "name": name, "namespace": "clients", "fields": fields})


def field(name, kind, **more):
    return {"name": name, "type": kind, **more}


RIDER = {
    "type": "record",
    "name": "Rider",
    "fields": [field("name", "string"), field("rating", ["null", "double"], default=None)],
}
FIRST = record(field("trip_id", "string"), field("distance", "double"), field("rider", RIDER))
# What readers of FIRST can read, and what they can't.
COMPATIBLE = record(
    field("trip_id", "string"),
    field("distance", "double"),
    field("rider", RIDER),
    field("note", ["null", "string"], default=None),
)
INCOMPATIBLE = record(field("trip_id", "string"), field("distance", "string"), field("rider", RIDER))


class Registry:
    """A client, and subjects that nobody else uses."""

    def __init__(self, url, bootstrap=None):
        self.url = url
        self.bootstrap = bootstrap
        self.client = SchemaRegistryClient({"url": url})

    def fresh(self):
        """Another client: it has nothing in its cache."""
        return SchemaRegistryClient({"url": self.url})

    def subject(self):
        return f"clients-{uuid.uuid4().hex}-value"

    def register(self, subject, text):
        return self.client.register_schema(subject, Schema(text, "AVRO"))


def equal(what, found, expected):
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


def refused(what, ask, status, code=None):
    """The answer must be this error."""
    try:
        answer = ask()
    except SchemaRegistryError as error:
        equal(f"{what}: status", error.http_status_code, status)
        if code is not None:
            equal(f"{what}: error code", error.error_code, code)
        return
    raise AssertionError(f"{what}: answered with {answer!r}")


def register(registry):
    subject = registry.subject()
    schema_id = registry.register(subject, FIRST)
    equal("registered again", registry.fresh().register_schema(subject, Schema(FIRST, "AVRO")), schema_id)
    spaced = json.dumps(json.loads(FIRST), indent=2)
    equal("registered with other spaces", registry.register(subject, spaced), schema_id)
    other = registry.subject()
    equal("registered under another subject", registry.register(other, FIRST), schema_id)
    fetched = registry.fresh().get_schema(schema_id)
    equal("schema by id", json.loads(fetched.schema_str), json.loads(FIRST))
    latest = registry.fresh().get_latest_version(subject)
    equal("latest version", (latest.version, latest.schema_id, latest.subject), (1, schema_id, subject))
    looked_up = registry.fresh().lookup_schema(subject, Schema(FIRST, "AVRO"))
    equal("looked up", (looked_up.version, looked_up.schema_id), (1, schema_id))
    if not {subject, other} <= set(registry.fresh().get_subjects()):
        raise AssertionError("a subject is not listed")
    return f"id {schema_id}, the same for the same schema"


def versions(registry):
    subject = registry.subject()
    first = registry.register(subject, FIRST)
    second = registry.register(subject, COMPATIBLE)
    client = registry.fresh()
    equal("versions", client.get_versions(subject), [1, 2])
    equal("version 1", client.get_version(subject, 1).schema_id, first)
    equal("latest", client.get_latest_version(subject).schema_id, second)
    return f"ids {first} and {second}"


def unknown(registry):
    client, subject = registry.fresh(), registry.subject()
    refused("unknown id", lambda: client.get_schema(2_000_000_000), 404, 40403)
    refused("unknown subject", lambda: client.get_latest_version(subject), 404, 40401)
    registry.register(subject, FIRST)
    refused("unknown version", lambda: client.get_version(subject, 7), 404, 40402)
    refused("unknown schema", lambda: client.lookup_schema(subject, Schema(COMPATIBLE, "AVRO")), 404, 40403)
    refused("no schema", lambda: registry.register(subject, '{"type": "nothing"}'), 422, 42201)
    return "404 with 40401, 40402, 40403; 422 with 42201"


def compatibility(registry):
    client, subject = registry.client, registry.subject()
    registry.register(subject, FIRST)
    equal("level", client.set_compatibility(subject, "BACKWARD")["compatibility"], "BACKWARD")
    equal("level", registry.fresh().get_compatibility(subject), "BACKWARD")
    test = client.test_compatibility
    equal("compatible", test(subject, Schema(COMPATIBLE, "AVRO")), True)
    equal("incompatible", test(subject, Schema(INCOMPATIBLE, "AVRO")), False)
    refused("registering it", lambda: registry.register(subject, INCOMPATIBLE), 409)
    client.set_compatibility(subject, "NONE")
    registry.register(subject, INCOMPATIBLE)
    equal("versions", registry.fresh().get_versions(subject), [1, 2])
    return "BACKWARD refuses with 409 what NONE takes"


def delete(registry):
    client, subject = registry.client, registry.subject()
    schema_id = registry.register(subject, FIRST)
    registry.register(subject, COMPATIBLE)
    equal("deleted version", client.delete_version(subject, 2), 2)
    equal("versions", registry.fresh().get_versions(subject), [1])
    equal("deleted versions", client.delete_subject(subject), [1])
    refused("versions", lambda: registry.fresh().get_versions(subject), 404, 40401)
    equal("schema of a deleted subject", json.loads(registry.fresh().get_schema(schema_id).schema_str), json.loads(FIRST))
    return "a deleted subject's schemas can still be read by their ids"


def references(registry):
    rider, trip = registry.subject(), registry.subject()
    registry.register(rider, json.dumps({**RIDER, "namespace": "clients"}))
    text = record(field("trip_id", "string"), field("rider", "clients.Rider"))
    schema = Schema(text, "AVRO", [SchemaReference("clients.Rider", rider, 1)])
    schema_id = registry.client.register_schema(trip, schema)
    fetched = registry.fresh().get_schema(schema_id)
    equal("references", [(r.name, r.subject, r.version) for r in fetched.references], [("clients.Rider", rider, 1)])
    return f"id {schema_id}"


def round_trip(registry):
    topic = registry.subject().removesuffix("-value")
    context = SerializationContext(topic, MessageField.VALUE)
    data = AvroSerializer(registry.fresh(), FIRST)(TRIP, context)
    schema_id = int.from_bytes(data[1:5], "big")
    equal("magic byte", data[0], 0)
    equal("id", registry.fresh().get_latest_version(f"{topic}-value").schema_id, schema_id)
    equal("read", AvroDeserializer(registry.fresh())(data, context), TRIP)
    newer = AvroDeserializer(registry.fresh(), COMPATIBLE)(data, context)
    equal("read with another schema", newer, {**TRIP, "note": None})
    return f"{len(data)} bytes with id {schema_id}"


def over_the_broker(registry):
    from confluent_kafka import DeserializingConsumer, SerializingProducer
    from confluent_kafka.serialization import StringDeserializer, StringSerializer

    topic = registry.subject().removesuffix("-value")
    serializer = AvroSerializer(registry.fresh(), FIRST)
    producer = SerializingProducer(
        {
            "bootstrap.servers": registry.bootstrap,
            "key.serializer": StringSerializer(),
            "value.serializer": serializer,
        }
    )
    sent = [{**TRIP, "trip_id": f"trip-{n}"} for n in range(100)]
    for trip in sent:
        producer.produce(topic, key=trip["trip_id"], value=trip)
    equal("not delivered", producer.flush(30), 0)
    consumer = DeserializingConsumer(
        {
            "bootstrap.servers": registry.bootstrap,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "key.deserializer": StringDeserializer(),
            "value.deserializer": AvroDeserializer(registry.fresh()),
        }
    )
    consumer.subscribe([topic])
    read = []
    while len(read) < len(sent):
        message = consumer.poll(30)
        if message is None:
            raise AssertionError(f"{len(read)} of {len(sent)} records came")
        read.append(message.value())
    consumer.close()
    equal("read", sorted(t["trip_id"] for t in read), sorted(t["trip_id"] for t in sent))
    return f"{len(read)} records"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    registry = Registry(*sys.argv[1:])
    checks = [register, versions, unknown, compatibility, delete, references, round_trip]
    if registry.bootstrap:
        checks.append(over_the_broker)
    failed = False
    for check in checks:
        try:
            print("PASS", check.__name__, "|", check(registry), flush=True)
        except Exception as error:  # Whatever a client throws is an answer, too.
            failed = True
            print("FAIL", check.__name__, "|", type(error).__name__, error, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
