"""The description of the endpoints, made from the models that they decode and encode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

import intarsia
from intarsia.gateway.operation import Answer, Operation
from intarsia.gateway.proof import PATH, Challenge, Proof
from intarsia.gateway.statuses import SAID

Json = dict[str, Any]
HOOKS = [f"/v1/hooks/{program}/{event}" for program in ("claude", "codex") for event in ("pre-tool-use", "stop")]
TEMPLATE = "#/components/schemas/{name}"


class Failure(msgspec.Struct):
    """What went wrong; more fields, such as who holds a resource, depend on the code."""

    ok: bool
    code: str
    message: str
    hint: str


class Healthy(Answer):
    version: str


def document(operations: Sequence[Operation[Any, Any]]) -> Json:
    kinds = [kind for one in operations for kind in (one.given, one.answer)]
    schemas, components = _named([*kinds, Failure, Healthy, Challenge, Proof])
    paths = {f"/v1/{one.path}": {"post": _described(one, schemas)} for one in operations}
    return {
        "openapi": "3.1.0",
        "info": {"title": "intarsia", "version": intarsia.__version__, "description": _ABOUT},
        "paths": {
            "/v1/health": {"get": _health(schemas)},
            PATH: {"post": _proof(schemas)},
            **paths,
            **dict.fromkeys(HOOKS, _HOOK),
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"secret": {"type": "http", "scheme": "bearer"}},
        },
    }


_ABOUT = "Every request but that for the health carries the secret of a session or member, and acts as that."


def _named(kinds: Sequence[type]) -> tuple[dict[type, Json], Json]:
    references, components = msgspec.json.schema_components(kinds, ref_template=TEMPLATE)
    return dict(zip(kinds, references, strict=True)), components


def _described(one: Operation[Any, Any], schemas: dict[type, Json]) -> Json:
    return {
        "operationId": one.path.replace("/", "_"),
        "summary": one.about,
        "security": [{"secret": []}],
        **_posted(schemas, one.given, one.answer),
    }


def _proof(schemas: dict[type, Json]) -> Json:
    summary = "Prove that it knows somebody, before it is told a secret: an HMAC with the hash of theirs as its key."
    return {"operationId": "prove", "summary": summary, "security": [], **_posted(schemas, Challenge, Proof)}


def _posted(schemas: dict[type, Json], given: type, answer: type) -> Json:
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schemas[given]}}},
        "responses": {
            "200": _response("Done.", _with_ok(schemas[answer])),
            **{str(status): _response(said, schemas[Failure]) for status, said in SAID.items()},
        },
    }


def _health(schemas: dict[type, Json]) -> Json:
    said = {str(status): _response(SAID[status], schemas[Failure]) for status in (403, 405)}
    answer = _response("It is there.", _with_ok(schemas[Healthy]))
    return {"operationId": "health", "summary": "Is it there?", "security": [], "responses": {"200": answer, **said}}


_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_HOOK = {
    "post": {
        "summary": "Answer a hook PreToolUse or Stop, as the program calls it. A failure is a no, or for Stop nothing.",
        "security": [],
        "requestBody": {"required": True, "content": _OBJECT},
        "responses": {"200": {"description": "What the hook says.", "content": _OBJECT}},
    }
}


def _with_ok(schema: Json) -> Json:
    ok = {"type": "object", "properties": {"ok": {"const": True}}, "required": ["ok"]}
    return {"allOf": [ok, schema]}


def _response(said: str, schema: Json) -> Json:
    return {"description": said, "content": {"application/json": {"schema": schema}}}
