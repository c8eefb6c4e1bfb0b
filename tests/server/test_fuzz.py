"""Requests made up from the server's own OpenAPI document, good and bad: each gets an answer of the promised shape."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.server.conftest import Address

EXAMPLES = 8
"""Of each kind, for each route: the whole takes some ten seconds."""


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_request_brings_the_server_down(server: Address, mode: GenerationMode) -> None:
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    statuses: dict[str, set[int]] = {}
    for operation in (result.ok() for result in document.get_all_operations() if isinstance(result, Ok)):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def requests(case: schemathesis.Case) -> None:
            response = case.call()
            assert response.status_code < 500, response.text
            # A request may fit the document and still ask for what cannot be had: an unknown model, an id too large.
            case.validate_response(response, excluded_checks=[positive_data_acceptance])
            statuses.setdefault(case.operation.path, set()).add(response.status_code)

        if mode is GenerationMode.POSITIVE or operation.body:
            requests()
    assert "/v1/completions" in statuses
    if mode is GenerationMode.NEGATIVE:
        assert statuses["/v1/completions"] == {400}
