"""The service keeps to its OpenAPI description: schemathesis generates requests and checks every response."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed (extra [dev])")
from schemathesis.specs.openapi import checks  # noqa: E402

from deeplens_dof.serve.app import create_app  # noqa: E402

schema = schemathesis.openapi.from_dict(create_app().openapi())


@schema.parametrize()
@settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
def test_every_answer_is_as_described(case, server) -> None:
    case.call_and_validate(
        base_url=server.url,
        timeout=120,  # the first photo is slow on busy cores
        checks=[
            schemathesis.checks.not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
            checks.unsupported_method,
        ],
    )
