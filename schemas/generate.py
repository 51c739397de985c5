"""Write the schema files made from the code: `python -m schemas.generate`.

schemas/generated/ gets a JSON Schema (Draft 2020-12) and an Avro schema for each record, and one AsyncAPI 3
document for all topics; docs/schemas.md gets the tables people read. A test fails when they have drifted.
"""

import json
from pathlib import Path

import msgspec

from schemas.alert import Alert
from schemas.asyncapi import asyncapi
from schemas.avro import avro_schema
from schemas.entity_list import ListEntry
from schemas.entity_risk import EntityRisk
from schemas.json_schema import json_schema
from schemas.label import Label
from schemas.markdown import markdown
from schemas.transaction import Transaction

ROOT = Path(__file__).parent.parent
RECORDS: dict[str, type[msgspec.Struct]] = {
    "transaction": Transaction,
    "alert": Alert,
    "label": Label,
    "entity_risk": EntityRisk,
    "entity_list": ListEntry,
}
"""The records that are JSON on the wire; decisions and entity activity are columnar."""


def generated() -> dict[Path, str]:
    """Every generated file's path under the root of the sources, and its content."""
    folder = Path("schemas/generated")
    files: dict[Path, str] = {}
    for name, record in RECORDS.items():
        files[folder / f"{name}.schema.json"] = _json(json_schema(record, name))
        files[folder / f"{name}.avsc"] = _json(avro_schema(record))
    files[folder / "asyncapi.json"] = _json(asyncapi())
    files[Path("docs/schemas.md")] = markdown()
    return files


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every file."""
    for path, content in generated().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
