"""Addresses of the web, asked without being led elsewhere: who may name an address has not named another."""

from __future__ import annotations

from typing import IO, Any
from urllib import request as url_requests


def opened(address: str | url_requests.Request, seconds: float) -> IO[bytes]:
    """What is at an address of http or https. Raises OSError, for a redirection too."""
    return url_requests.build_opener(_Stay).open(address, timeout=seconds)  # type: ignore[no-any-return]


class _Stay(url_requests.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None
