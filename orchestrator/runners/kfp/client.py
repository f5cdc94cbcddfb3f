"""The server asked over HTTP, through the generated client of its API: what may be asked again is, in growing pauses.

Answers are plain data and not the client's models: those refuse or drop what a server newer than they are says.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from orchestrator.errors import BackendError, NotFoundError
from orchestrator.runners.kfp.connection import SYSTEM, Connection
from orchestrator.runners.kfp.requests import Call

ATTEMPTS = 5
LONGEST = 8.0
_AGAIN = (408, 429, 500, 502, 503, 504)
"""Answers that may differ next time. 500 is one of them: KFP's server gives it for a database that is not there yet."""
_INVALID = "Failed to validate workflow"
"""Said with 500, and yet nothing that may differ next time."""
_LOGIN = (301, 302, 303, 307, 308)
_CONFLICT = 409
_MISSING = (404, 405, 501)
T = TypeVar("T")
_HINTS = {
    401: "the token is missing or has expired: ORC_KFP_TOKEN, ORC_KFP_TOKEN_FILE or ORC_KFP_COOKIES",
    403: "the account may not do this in this namespace: kfp_namespace, and the roles of the account",
}


class UnansweredError(BackendError):
    """The server did not answer, or not sensibly, each time it was asked; whether it did what it was asked is open."""


class ConflictError(BackendError):
    """There is already something of that name."""


class RefusedError(BackendError):
    """The server said no, and would say it again."""

    def __init__(self, status: int, message: str, *, hint: str = "") -> None:
        super().__init__(SYSTEM, message, hint=hint)
        self.status = status


class MissingError(RefusedError):
    """There is nothing at that address."""


def _read(response: Any, what: str) -> dict[str, Any]:
    text = response.data.decode("utf-8")
    try:
        data = json.loads(text) if text.strip() else {}
    except ValueError:
        data = None
    if isinstance(data, dict):
        return data
    if text.lstrip()[:1] == "<":
        hint = "the URL may be that of the user interface, or of a login page; the API is often at /pipeline"
        raise RefusedError(200, f"{what}: the answer is a web page and not the API's", hint=hint)
    raise UnansweredError(SYSTEM, f"{what}: the answer was cut off")


def _text(response: Any, _what: str) -> str:
    text: str = response.data.decode("utf-8", "replace")
    return text


class Client:
    """One server. A call is asked up to five times where asking twice does no harm, and once where it might."""

    def __init__(self, connection: Connection, *, sleep: Callable[[float], None] = time.sleep) -> None:
        try:
            import kfp_server_api
            from urllib3 import Retry
        except ImportError as error:
            raise BackendError(SYSTEM, f"needs {error.name}", hint="pip install 'orchestrator[kubernetes]'") from error

        self.connection = connection
        self._sleep = sleep
        configuration = kfp_server_api.Configuration(host=connection.host)
        # A server that sends us elsewhere sends us to a login page; and what is asked again is decided here.
        configuration.retries = Retry(0, redirect=0, raise_on_redirect=False)
        if connection.ca is not None:
            if not connection.ca.is_file():
                raise BackendError(SYSTEM, f"there is no file of certificates {connection.ca}")
            configuration.ssl_ca_cert = str(connection.ca)
        self._api = kfp_server_api.ApiClient(configuration, cookie=connection.cookies or None)
        self._api.user_agent = "orchestrator"

    def __call__(self, call: Call) -> dict[str, Any]:
        """The answer to a call. Raises UnansweredError, ConflictError, RefusedError or MissingError."""
        pause = 0.5
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(call, _read)
            except UnansweredError:
                if attempt == ATTEMPTS or not call.repeatable:
                    raise
                self._sleep(pause)
                pause = min(pause * 2, LONGEST)
        raise AssertionError

    def text(self, call: Call) -> str:
        """The answer to a call that is text, such as a log; asked once."""
        return self._once(call, _text)

    def pages(self, call: Call, key: str) -> Iterator[dict[str, Any]]:
        """What a list holds, over all its pages."""
        token = ""
        while True:
            answer = self(call.page(token))
            yield from answer.get(key) or []
            following = answer.get("next_page_token") or ""
            if not following or following == token:
                return
            token = following

    def _once(self, call: Call, read: Callable[[Any, str], T]) -> T:
        import kfp_server_api
        import urllib3

        bearer = self.connection.bearer()
        headers = {"Accept": "application/json", "Content-Type": call.content_type}
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        seconds = self.connection.timeout
        what = call.what
        try:
            response = self._api.call_api(
                call.path,
                call.method,
                query_params=list(call.query),
                header_params=headers,
                body=call.body,
                post_params=[("uploadfile", call.file)] if call.file else None,
                _preload_content=False,
                _request_timeout=(min(seconds, 10), seconds),
            )
            return read(response, what)
        except kfp_server_api.ApiException as error:
            body = error.body if isinstance(error.body, str) else ""
            raise self._told(int(error.status or 0), body, str(error.reason), what, bearer) from None
        except (urllib3.exceptions.HTTPError, OSError, UnicodeDecodeError) as error:
            # From None: what such an error says of the request is not for a log.
            said = self.connection.silenced(_reason(error, seconds), bearer)
            if "certificate" in said:
                raise RefusedError(0, f"{what}: {said}", hint="name the authority's certificate: kfp_ca") from None
            hint = f"is it there? curl {self.connection.host}/apis/v2beta1/healthz"
            raise UnansweredError(SYSTEM, f"{what}: {said}", hint=hint) from None

    def _told(self, status: int, body: str, reason: str, what: str, bearer: str) -> BackendError:
        """An answer that is not what was asked for, as an error."""
        said = self.connection.silenced(_message(body) or reason or f"HTTP {status}", bearer)
        message = f"{what}: {said} (HTTP {status})"
        if status in _LOGIN:
            hint = "give cookies of a session, ORC_KFP_COOKIES, or a token, ORC_KFP_TOKEN"
            return RefusedError(status, f"{what}: the server asks for a login (HTTP {status})", hint=hint)
        if status == _CONFLICT or "already exist" in said.lower():
            return ConflictError(SYSTEM, message)
        if status in _MISSING:
            return MissingError(status, message)
        if _INVALID in said:
            return RefusedError(status, message, hint="`orc check FILE` says what the server does differently")
        if status in _AGAIN:
            return UnansweredError(SYSTEM, message)
        return RefusedError(status, message, hint=_HINTS.get(status, ""))


def missing(kind: str, name: str, error: MissingError) -> NotFoundError:
    """What was named is not there."""
    found = NotFoundError(kind, name)
    found.__cause__ = error
    return found


def _message(body: str) -> str:
    """What an error's body says: of the API `message`, or of an upload `error_message`."""
    try:
        data = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(data, dict):
        return ""
    said = data.get("message") or data.get("error_message") or data.get("error_details") or data.get("error") or ""
    return " ".join(str(said).split())[:600]


def _reason(error: BaseException, seconds: float) -> str:
    """Why there was no answer, in words."""
    from urllib3 import exceptions

    inner = getattr(error, "reason", None) or error
    # Before the others: to older versions of the client that is a time-out, too.
    if isinstance(inner, exceptions.NewConnectionError):
        return "nothing answers there"
    if isinstance(inner, exceptions.ConnectTimeoutError | exceptions.ReadTimeoutError | TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(inner, exceptions.NameResolutionError):
        return "its name is not known"
    if isinstance(inner, exceptions.SSLError):
        return f"its certificate cannot be trusted: {inner}"
    if any(isinstance(each, http.client.IncompleteRead) for each in inner.args):
        return "the answer was cut off"
    return "the connection was closed" if isinstance(inner, exceptions.ProtocolError) else str(inner)
