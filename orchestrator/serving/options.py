"""How a model server runs: where it listens, who may ask, and over how many processes it spreads."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.serving.residence import Room

MOST_WORKERS = 64
_NEW = """python -c "import secrets; print(secrets.token_urlsafe(32))" > token; chmod 600 token"""


@dataclass(frozen=True, slots=True)
class Options:
    """What `orc serve` may be told."""

    host: str = "127.0.0.1"
    port: int | None = None  # None: the first free one.
    workers: int = 1
    token_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    # Others may reach the server although it asks for no token, or does not encrypt: something else guards it.
    insecure: bool = False
    detached: bool = False  # End when no endpoint is left.
    fixed: bool = False  # End when a declaration cannot be loaded.
    memory: int | None = None  # How many bytes of models are loaded at a time; None: as many as are declared.
    grpc_port: int | None = None  # V2 by gRPC is answered there; None: it is not.
    models: int | None = None  # How many endpoints have theirs loaded at a time.

    @property
    def room(self) -> Room:
        """How much each process may have loaded: the server's bound is shared out among them."""
        return Room(None if self.memory is None else self.memory // self.workers, self.models)

    def check(self) -> None:
        """Raises OrchestratorError for what contradicts itself."""
        if not 1 <= self.workers <= MOST_WORKERS:
            raise OrchestratorError(f"{self.workers} worker processes: between 1 and {MOST_WORKERS} are possible")
        if (self.certificate is None) != (self.key is None):
            missing = "--tls-key" if self.key is None else "--tls-cert"
            raise OrchestratorError(f"TLS needs a certificate and its key: {missing} is missing")
        if self.models is not None and self.models < 1:
            raise OrchestratorError(f"{self.models} endpoints in memory: at least 1")

    def check_reach(self, address: str) -> None:
        """Refuse to be reached by other machines, at this address, without a token and TLS."""
        if self.insecure or is_loopback(address):
            return
        missing: list[str] = []
        if self.token_file is None:
            missing.append("a token (--token-file FILE)")
        if self.certificate is None:
            missing.append("TLS (--tls-cert FILE --tls-key FILE)")
        if missing:
            message = f"other machines can reach {address}: a server there needs {' and '.join(missing)}"
            hint = "a new token: " + _NEW if self.token_file is None else "a proxy in front may do the TLS"
            raise OrchestratorError(message, hint=f"{hint}; --insecure does without, where something else guards it")

    def dump(self) -> str:
        """As JSON, for a process that is started with them."""
        return json.dumps(dataclasses.asdict(self), default=str)


def load(text: str) -> Options:
    """What `dump` wrote."""
    plain: dict[str, Any] = json.loads(text)
    paths = {name: Path(plain[name]) for name in ("token_file", "certificate", "key") if plain[name] is not None}
    return Options(**{**plain, **paths})


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches that address."""
    return address.startswith("127.") or address == "::1"
