"""The server's HTTP surface: V1 and V2 of the inference protocols, metrics, and a page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.serving import codec, counts, described, fleet, gate, metrics, page, repository, routing
from orchestrator.serving.answer import Answering
from orchestrator.serving.codec import RequestError
from orchestrator.serving.fleet import Alone, Fleet, Report
from orchestrator.serving.gauges import Value
from orchestrator.serving.host import Host
from orchestrator.serving.hosted import Status
from orchestrator.serving.page import About
from orchestrator.serving.predictions import Predictions
from orchestrator.serving.queue.queue import Queue
from orchestrator.serving.queue.routes import Routes
from orchestrator.serving.sagemaker import Invocations
from orchestrator.serving.work import Work


def create(
    host: Host, work: Work, peers: Alone | Fleet, queue: Queue, about: About, *, answering: Answering | None = None
) -> Starlette:
    """The application over these endpoints; `peers` are the server's other processes.

    `answering` is what gRPC answers with, too: there is one thread for the shadows then.
    """
    predictions = Predictions(answering or Answering(host, work))
    surface = _Surface(host, peers, about)
    model = "/v2/models/{name}"
    version = model + "/versions/{version}"
    routes = [
        Route("/v1/models/{name}:predict", predictions.v1, methods=["POST"]),
        Route("/v1/models/{name}:explain", predictions.explain, methods=["POST"]),
        Route(model + "/infer", predictions.v2, methods=["POST"]),
        Route(version + "/infer", predictions.v2, methods=["POST"]),
        *Routes(host, queue).all(),
        Route("/", surface.root),
        Route("/metrics", surface.metrics),
        Route("/endpoints", surface.endpoints),
        Route("/v1/models", surface.models),
        Route("/v1/models/{name}", surface.v1_model),
        Route("/v2", surface.server),
        Route("/v2/health/live", surface.live),
        Route("/v2/health/ready", surface.ready),
        Route("/v2/models", surface.models),
        Route(model, surface.v2_model),
        Route(model + "/ready", surface.v2_ready),
        Route(version, surface.v2_model),
        Route(version + "/ready", surface.v2_ready),
        *repository.routes(host),
        *Invocations(host, predictions.v1, surface.ready).routes(),
    ]
    # Exceptions of Starlette's own (no such route, wrong method) answer in the protocols' form too.
    handlers: Mapping[Any, Any] = {HTTPException: _http_error, RequestError: _request_error, Exception: _failed}
    application = Starlette(routes=routes, exception_handlers=handlers)
    application.router.redirect_slashes = False
    return application


class _Surface:
    """Everything that is not a prediction."""

    def __init__(self, host: Host, peers: Alone | Fleet, about: About) -> None:
        self.host = host
        self.peers = peers
        self.about = about

    def _gauges(self) -> list[Value]:
        return [value for report in self.peers.others() for value in report.gauges]

    async def root(self, request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            return _json({"status": "alive"})
        counted = counts.by_endpoint(self.host.metrics.collect(self._gauges()))
        called = (request.scope["scheme"], request.headers.get("host", ""))
        html, policy = page.render(self.host, self.about, counted, called)
        headers = {"content-security-policy": policy, "cache-control": "no-store"}
        return Response(html, media_type="text/html", headers=headers)

    async def metrics(self, _: Request) -> Response:
        text = self.host.metrics.text(self._gauges())
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    async def endpoints(self, _: Request) -> Response:
        others = self.peers.others()
        counted = counts.by_endpoint(self.host.metrics.collect())
        known = sorted(self.host.endpoints.items())
        return _json({"endpoints": [_endpoint(status, others, counted.get(name)) for name, status in known]})

    async def models(self, _: Request) -> Response:
        return _json({"models": sorted(self.host.endpoints)})

    async def v1_model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name.endswith((":predict", ":predictAsync", ":explain")):
            # Its own route takes POST alone, so that any other method is led here.
            raise HTTPException(405, headers={"Allow": "POST"})
        routing.ready(self.host, name)
        return _json({"name": name, "ready": True})

    async def server(self, _: Request) -> Response:
        return _json(
            {
                "name": described.SERVER,
                "version": self.about.version,
                "extensions": described.EXTENSIONS,
            }
        )

    async def live(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready(self, request: Request) -> Response:
        is_ready, reasons = fleet.readiness(self.host, self.peers.others())
        if is_ready:
            return _json({"ready": True})
        if request.scope.get(gate.STRANGER):
            return _json({"ready": False}, 503)
        return _json({"ready": False, "error": "; ".join(reasons) or "the server is loading its models"}, 503)

    async def v2_model(self, request: Request) -> Response:
        endpoint = routing.ready(self.host, request.path_params["name"])
        version = request.path_params.get("version")
        variant = routing.of_version(endpoint, version) if version else endpoint.main
        return _json(described.model(endpoint, variant))

    async def v2_ready(self, request: Request) -> Response:
        endpoint = routing.ready(self.host, request.path_params["name"])
        if version := request.path_params.get("version"):
            routing.of_version(endpoint, version)
        return _json({"name": endpoint.declaration.name, "ready": True})


def _endpoint(status: Status, others: Sequence[Report], counted: counts.Endpoint | None) -> dict[str, Any]:
    """An endpoint for `orc endpoints`: what is served now, and what kept a later declaration from being served."""
    variants = status.hosted.variants if status.hosted else ()
    standing = fleet.together([fleet.standing(status), *fleet.of(status.name, others)])
    return {
        "name": status.name,
        "ready": standing.ready,
        "state": status.state,
        "reason": standing.reason,
        "attempted": standing.attempted,
        "requests": counted.requests if counted else 0,
        "variants": [variant.declared.model_dump(mode="json") for variant in variants],
    }


def _json(value: Any, status: int = 200) -> Response:
    return Response(codec.write(value), status, media_type="application/json")


async def _http_error(request: Request, error: HTTPException) -> Response:
    path = request.scope["path"]  # Not request.url: it parses the Host header, which may be anything.
    message = {404: f"there is nothing at {path}", 405: f"{path} does not take {request.method}"}
    content = codec.problem(message.get(error.status_code, error.detail))
    return Response(content, error.status_code, dict(error.headers or {}), media_type="application/json")


async def _request_error(_: Request, error: RequestError) -> Response:
    # What is left of the body is not worth reading.
    headers = {"connection": "close"} if error.status in (408, 413) else {}
    return Response(codec.problem(error.message), error.status, headers, media_type="application/json")


async def _failed(_request: Request, _error: Exception) -> Response:
    return Response(codec.problem("the server failed; its log says why"), 500, media_type="application/json")
