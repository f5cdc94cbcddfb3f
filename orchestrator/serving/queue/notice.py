"""What is sent to whoever wants to know that a request is done."""

from __future__ import annotations

import hashlib
import hmac
import json
from http import client as http_client
from pathlib import Path
from typing import Any
from urllib import error as url_errors
from urllib import request as url_requests
from urllib.parse import urlsplit

from orchestrator.errors import BackendError
from orchestrator.serving.background import Notify
from orchestrator.serving.queue.item import Item, Status, instant
from orchestrator.stores import objects, web

SIGNATURE = "x-signature"
SECONDS = 10.0


def address(wanted: Notify, status: Status) -> str:
    """Who is to be told of a request that ended so; "" for nobody."""
    return {"Completed": wanted.success, "Failed": wanted.failure}.get(status, "")


def body(item: Item) -> dict[str, Any]:
    """The message, in the form that consumers of SageMaker's notifications know."""
    failed = item.status == "Failed"
    where = item.failure if failed else item.output
    return {
        "awsRegion": "",
        "eventTime": instant(item.finished),
        "receivedTime": instant(item.received),
        "invocationStatus": item.status,
        **({"failureReason": item.reason} if failed else {}),
        "requestParameters": {
            "accept": item.headers.get("accept", "*/*"),
            "endpointName": item.endpoint,
            "inputLocation": objects.shown(item.input),
        },
        "responseParameters": {"contentType": item.content_type, "outputLocation": objects.shown(where)},
        "inferenceId": item.inference,
        "eventVersion": "1.0",
        "eventSource": "orchestrator:serving",
        "eventName": "InferenceResult",
    }


def send(url: str, item: Item, secret: Path | None) -> None:
    """Tell somebody. Raises BackendError, which names no more of the address than its host."""
    content = json.dumps(body(item), ensure_ascii=False).encode(errors="backslashreplace")
    headers = {"content-type": "application/json", "user-agent": "orchestrator"}
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # Its words may hold the address, and that a secret.
        raise BackendError("notification", "its address cannot be read") from None
    try:
        if secret is not None:
            headers[SIGNATURE] = sign(content, secret.read_bytes().strip())
    except OSError as error:
        raise BackendError("notification", f"its secret cannot be read: {error.strerror}: {secret}") from None
    try:
        message = url_requests.Request(url, content, headers)  # noqa: S310  The endpoint file takes HTTP alone.
        with web.opened(message, SECONDS):
            return
    except url_errors.HTTPError as error:
        error.close()
        raise BackendError("notification", f"{host} answered {error.code}") from None
    except (OSError, ValueError, http_client.HTTPException) as error:  # The last is of who speaks no HTTP.
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise BackendError("notification", f"{host}: {reason}") from None


def sign(content: bytes, key: bytes) -> str:
    """What proves that a message is from who knows the secret."""
    return "sha256=" + hmac.new(key, content, hashlib.sha256).hexdigest()
