"""Requests to the API server: its connection is kept, and each is repeated while the server is away; all may be."""

from __future__ import annotations

import json
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from orchestrator.cluster import refusal
from orchestrator.errors import BackendError

PATIENCE = 30.0
"""Seconds a server may be away that has answered us before."""
_FIRST = 2.0
"""Seconds for one that never did: a wrong address does not get better."""
_CONNECT, _READ = 5.0, 65.0  # Admission webhooks may take thirty seconds, twice.
_AGAIN = (429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: its code, and its JSON."""

    code: int
    data: Any

    @property
    def is_good(self) -> bool:
        return self.code < 400


@dataclass(slots=True)
class Api:
    """One API server, as one account."""

    host: str
    who: str
    """What says who we are, for errors: `context kind-dev of /home/ana/.kube/config`."""
    pool: Any
    """urllib3's pool, with the TLS of the cluster."""
    authorization: Callable[[], str | None]
    """The header of this moment: tokens are renewed."""
    answered: bool = False

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = "application/json",
        accept: str = "application/json",
        repeats: Callable[[Answer], bool] = lambda _: False,
    ) -> Answer:
        """Ask, and again while the server is away or says it is busy; `repeats` names other answers worth a repetition.

        Raises BackendError where the server cannot be reached; what it refuses is an Answer.
        """
        headers = {"Content-Type": content, "Accept": accept}
        sent = None if body is None else json.dumps(body)
        started, pause = time.monotonic(), 0.1
        while True:
            answer: Answer | None = None
            failed: Exception | None = None
            delay = pause
            try:
                got = self._send(method, path, query, sent, headers)
                answer = _read(got, self.host)
                self.answered = True
                if not _is_busy(answer) and not repeats(answer):
                    return answer
                delay = max(pause, _asked(got))
            except Exception as error:
                failed = error
                if _is_final(error):
                    raise self._unreachable(error) from error
            if time.monotonic() - started + delay > (PATIENCE if self.answered else _FIRST):
                if answer is not None:
                    return answer
                raise self._unreachable(failed) from failed
            time.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311  Many clients should not come back as one.
            pause = min(2.0, pause * 2)

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[str] | Answer:
        """The lines of an answer as they come, for logs; an Answer where the server refuses."""
        try:
            got = self._send("GET", path, query, None, {"Accept": "*/*"}, stream=True)
        except Exception as error:
            raise self._unreachable(error) from error
        if got.status >= 400:
            return _read(got, self.host)
        return self._lines(got)

    def _lines(self, got: Any) -> Iterator[str]:
        rest = b""
        try:
            for part in got.stream(65536, decode_content=True):
                *whole, rest = (rest + part).split(b"\n")
                yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
        except Exception as error:
            raise self._unreachable(error) from error
        finally:
            got.release_conn()
            got.close()
        if rest:
            yield rest.decode(errors="replace")

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: str | None,
        headers: Mapping[str, str],
        *,
        stream: bool = False,
    ) -> Any:
        import urllib3

        given = self.authorization()
        return self.pool.request(
            method,
            self.host + path + (f"?{urlencode(query)}" if query else ""),
            body=body,
            headers={**headers, "User-Agent": "orchestrator", **({"Authorization": given} if given else {})},
            # A log that is followed says nothing for hours.
            timeout=urllib3.Timeout(connect=_CONNECT, read=None if stream else _READ),
            retries=False,
            preload_content=not stream,
        )

    def _unreachable(self, error: Exception | None) -> BackendError:
        if isinstance(error, BackendError):
            return error
        text, hint = _words(error, answered=self.answered)
        return BackendError("Kubernetes", f"the API server {self.host} ({self.who}) {text}", hint=hint)


def _read(got: Any, host: str) -> Answer:
    raw = got.data
    try:
        data = json.loads(raw) if raw else {}
    except ValueError:
        data = None
    if isinstance(data, dict):
        return Answer(got.status, data)
    text = " ".join(raw.decode(errors="replace").split())[:200]
    if got.status < 400:
        message = f"{host} does not speak the API of Kubernetes; it answers: {text}"
        raise BackendError("Kubernetes", message, hint="is the server in the kubeconfig the right one?")
    return Answer(got.status, {"kind": "Status", "message": text, "code": got.status})


def _is_busy(answer: Answer) -> bool:
    return answer.code in _AGAIN or (answer.code == 500 and not refusal.is_typed(answer))


def _asked(got: Any) -> float:
    """Seconds the server asks us to stay away."""
    text = got.headers.get("Retry-After", "")
    return min(10.0, float(text)) if text.isdigit() else 0.0


def _is_final(error: Exception) -> bool:
    """What no repetition mends: a certificate, an address, a bug of ours."""
    import urllib3

    if isinstance(error, urllib3.exceptions.SSLError | urllib3.exceptions.LocationValueError | ssl.SSLError):
        # A connection that is cut within the handshake is an SSL error, too.
        return "EOF" not in str(error)
    return not isinstance(error, urllib3.exceptions.HTTPError | OSError)


def _words(error: Exception | None, *, answered: bool) -> tuple[str, str]:
    """What went wrong on the way to the server, and what to do."""
    text = str(error)
    running = "is the cluster running? kubectl cluster-info"
    if "CERTIFICATE_VERIFY_FAILED" in text or "doesn't match" in text or "certificate verify failed" in text:
        why = text.partition("certificate verify failed:")[2].partition(" (_ssl")[0].strip() or text
        return (
            f"shows a certificate we do not trust: {why}",
            "certificate-authority-data of the kubeconfig says whom to trust",
        )
    if isinstance(error, ssl.SSLError) or "SSL" in text:
        if "KEY_VALUES_MISMATCH" in text or "PEM" in text or "NO_START_LINE" in text:
            return (
                "cannot be asked: our certificate, its key or the authority's certificate is damaged",
                "make the kubeconfig anew",
            )
        return f"does not agree on TLS: {text}", "does the address begin with the right http:// or https://?"
    if "refused" in text:
        return "does not answer: connection refused", running
    if "Name or service not known" in text or "resolve" in text or "getaddrinfo" in text:
        return "is not known: no such host name", "is the server in the kubeconfig spelled right, and the VPN on?"
    if "timed out" in text:
        return "does not answer in time", running
    if "Connection reset" in text or "aborted" in text or "Broken pipe" in text or "IncompleteRead" in text:
        if not answered:
            return "cuts every connection", running
        away = f"went away in the middle and did not come back within {PATIENCE:.0f} s"
        return away, "run the same command again; it mends what was cut off"
    return f"cannot be asked: {text}", running
