"""boto3, as anybody's code calls a SageMaker endpoint, asks our server; so does a container's health check."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


@pytest.fixture
def client(served: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    settings = Config(region_name="eu-central-1", retries={"total_max_attempts": 1})
    return boto3.client("sagemaker-runtime", endpoint_url=served, config=settings)


def test_an_endpoint_is_invoked(client: Any, penguins: Any) -> None:
    answer = client.invoke_endpoint(
        EndpointName="penguins", ContentType="application/json", Body=json.dumps({"instances": penguins.examples})
    )
    assert json.load(answer["Body"]) == {"predictions": penguins.predictions}
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/json", "v1")


def test_a_variant_is_invoked_by_name(client: Any, penguins: Any) -> None:
    # `measured` sends all of its traffic to v1; v2 takes other columns.
    body = json.dumps({"instances": penguins.examples})
    answer = client.invoke_endpoint(EndpointName="measured", TargetVariant="v2", Body=body)
    assert json.load(answer["Body"]) == {"predictions": penguins.predictions}
    assert answer["InvokedProductionVariant"] == "v2"


@pytest.mark.parametrize(("name", "variant", "status"), [("nowhere", "v1", 404), ("penguins", "v9", 400)])
def test_what_is_not_there_is_told(client: Any, name: str, variant: str, status: int) -> None:
    with pytest.raises(ClientError) as raised:
        client.invoke_endpoint(EndpointName=name, TargetVariant=variant, Body="{}")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_container_is_asked_how_it_is(served: str, ask: Callable[..., Any]) -> None:
    assert (ask(served, "/ping").status, ask(served, "/ping").text) == (200, "")
    several = ask(served, "/invocations", {"instances": []})
    assert several.status == 404
    assert several.json == {"error": "these are served: mass, measured, penguins; POST to /endpoints/NAME/invocations"}
