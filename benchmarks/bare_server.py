"""The floor: Starlette on uvicorn reads the body and gives a fixed answer. `python bare_server.py PORT`."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ANSWER = b'{"model_name":"bench","outputs":[{"name":"y","shape":[1],"datatype":"INT64","data":[1]}]}'


async def infer(request: Request) -> Response:
    await request.body()
    return Response(ANSWER, media_type="application/json")


if __name__ == "__main__":
    application = Starlette(routes=[Route("/v2/models/{name}/infer", infer, methods=["POST"])])
    uvicorn.run(application, port=int(sys.argv[1]), log_level="error", access_log=False)
