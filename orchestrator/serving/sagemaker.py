"""The paths and headers that SageMaker's clients and containers know, in front of the same models.

`/ping` and `/invocations` are a container's, for a server of one endpoint; `/endpoints/NAME/invocations` is that of the
runtime's API, which boto3 calls. A body goes the way of V1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.serving.codec import RequestError
from orchestrator.serving.host import Host
from orchestrator.serving.predictions import Handler
from orchestrator.serving.routing import VARIANT_HEADER

PING = "/ping"
# What its clients say, and what we call it.
_HEADERS: Mapping[bytes, bytes] = {
    b"x-amzn-sagemaker-target-variant": b"x-variant",
    b"x-amzn-sagemaker-inference-id": b"x-inference-id",
}
_INVOKED = "x-amzn-invoked-production-variant"


@dataclass(frozen=True, slots=True)
class Invocations:
    """Predictions by SageMaker's names."""

    host: Host
    predict: Handler
    ready: Handler

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route(PING, self.ping),
            Route("/invocations", self.invoke, methods=["POST"]),
            Route("/endpoints/{name}/invocations", self.invoke, methods=["POST"]),
        ]

    async def ping(self, request: Request) -> Response:
        """Whether every model is there; whoever asks looks at the status alone."""
        return Response(status_code=(await self.ready(request)).status_code)

    async def invoke(self, request: Request) -> Response:
        """A prediction of the endpoint that is named, or of the only one there is."""
        scope = request.scope
        name = scope["path_params"].get("name") or self._only()
        headers = [(_HEADERS.get(key, key), value) for key, value in scope["headers"]]
        called = {**scope, "path_params": {"name": name}, "headers": headers}
        answer = await self.predict(Request(called, request.receive))
        if variant := answer.headers.get(VARIANT_HEADER):
            answer.headers[_INVOKED] = variant
        return answer

    def _only(self) -> str:
        names = sorted(self.host.endpoints)
        if len(names) == 1:
            return names[0]
        served = f"these are served: {', '.join(names)}" if names else "nothing is served"
        raise RequestError(f"{served}; POST to /endpoints/NAME/invocations", status=404)
