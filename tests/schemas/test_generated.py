"""The generated schemas are up to date, valid, and say the same as the code."""

import io
import json
from pathlib import Path

import fastavro
import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.alert import Alert
from schemas.asyncapi import CHANNELS
from schemas.describe import fields_of
from schemas.generate import RECORDS, ROOT, generated
from schemas.json_schema import structs_of
from stream.topics import Topics, topic_specs

FOLDER = ROOT / "schemas/generated"


def load(name: str) -> dict:
    return json.loads((FOLDER / name).read_text())


@pytest.mark.parametrize("path", generated(), ids=str)
def test_generated_files_have_not_drifted_from_the_code(path: Path):
    found = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""
    assert found == generated()[path], "run `python -m schemas.generate`"


def test_nothing_else_lies_among_the_generated_files():
    assert {path.name for path in FOLDER.iterdir()} == {path.name for path in generated() if "generated" in path.parts}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_every_field_is_described(record):
    for struct in structs_of(record):
        assert [field.name for field in fields_of(struct) if not field.description] == []


@pytest.mark.parametrize("name", RECORDS)
def test_a_json_schema_is_valid_draft_2020_12(name):
    jsonschema.Draft202012Validator.check_schema(load(f"{name}.schema.json"))


@pytest.mark.parametrize("name", RECORDS)
@given(data=st.data())
def test_what_the_code_writes_the_json_schema_accepts(strategy, name, data):
    record = data.draw(strategy(RECORDS[name]))
    validator = jsonschema.Draft202012Validator(load(f"{name}.schema.json"))
    validator.validate(json.loads(codec.encode(record)))


@pytest.mark.parametrize(
    "change", [{"amount": 0}, {"payer": ""}, {"currency": "USD"}, {"latitude": 91}, {"payee": None}]
)
def test_what_the_code_rejects_the_json_schema_rejects(payment, change):
    body = msgspec.to_builtins(payment) | change
    assert not jsonschema.Draft202012Validator(load("transaction.schema.json")).is_valid(body)


@pytest.mark.parametrize("name", RECORDS)
@given(data=st.data())
def test_every_record_survives_avro(strategy, name, data):
    record = data.draw(strategy(RECORDS[name]))
    schema = fastavro.parse_schema(load(f"{name}.avsc"))
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, msgspec.to_builtins(record), strict_allow_default=True)
    buffer.seek(0)
    read = fastavro.schemaless_reader(buffer, schema, None)
    assert msgspec.convert(read, RECORDS[name]) == record


@given(data=st.data())
def test_avro_alerts_with_and_without_a_summary_are_read_by_either_reader(strategy, data):
    alert = msgspec.to_builtins(data.draw(strategy(Alert)))
    now = load("alert.avsc")
    before = now | {"fields": [field for field in now["fields"] if field["name"] != "summary"]}
    older = {name: value for name, value in alert.items() if name != "summary"}
    for writer, written, reader, expected in (
        (before, older, now, older | {"summary": None}),
        (now, alert, before, older),
    ):
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, writer, written)
        buffer.seek(0)
        assert fastavro.schemaless_reader(buffer, writer, reader) == expected


def test_the_asyncapi_document_has_every_channel_and_no_loose_end():
    document = load("asyncapi.json")
    assert document["asyncapi"] == "3.0.0"
    assert set(document["channels"]) == {channel.topic for channel in CHANNELS}
    assert {operation["action"] for operation in document["operations"].values()} == {"send", "receive"}
    for reference in _references(document):
        if reference.startswith("./"):
            assert (FOLDER / reference).is_file()
            continue
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_the_channels_are_the_topics_that_get_created():
    topics = Topics()
    specs = [spec for spec in topic_specs(topics, 1) if not spec.name.endswith("-changelog")]
    assert {(channel.topic, channel.compacted) for channel in CHANNELS} == {(s.name, s.compacted) for s in specs}


def _references(node: object) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _references(item)]
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for item in node.values() for found in _references(item)]
    return []
