"""The endpoints are what their description says, whatever they are sent."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from intarsia.gateway.app import Gateway
from intarsia.gateway.catalogue import OPERATIONS
from intarsia.gateway.openapi import HOOKS
from intarsia.gateway.operation import Site
from tests.gateway.conftest import SECRETS, Http

EXAMPLES = settings(
    max_examples=5,
    database=None,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_every_operation_is_described(http: Http) -> None:
    document = http.client.get("/v1/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) >= {f"/v1/{one.path}" for one in OPERATIONS}
    assert all(one["post"]["summary"] for path, one in document["paths"].items() if path != "/v1/health")


@pytest.mark.parametrize("good", [True, False], ids=["values that fit", "values that do not"])
def test_answers_are_as_described(site: Site, good: bool) -> None:
    gateway = Gateway(site, loopback=False)  # the name of the host is not what this is about
    gateway.stop()  # so nothing that waits does so for long
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", gateway.app())
    mode = schemathesis.GenerationMode.POSITIVE if good else schemathesis.GenerationMode.NEGATIVE
    headers = {"Authorization": f"Bearer {SECRETS['alice']}"}
    asked = set()
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if not good and (operation.method == "get" or operation.path in HOOKS):
            continue

        @EXAMPLES
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            asked.add(case.operation.path)
            # What fits the description may still name what is not there, or be no URI.
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        check()
    assert len(asked) > 20
