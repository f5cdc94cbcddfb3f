"""What the API server refuses, in one sentence and a hint."""

from __future__ import annotations

from orchestrator.errors import BackendError


class RefusedError(BackendError):
    """The API server refused one request: HTTP code, Kubernetes' own reason, and the field where it named one."""

    def __init__(self, message: str, *, code: int = 0, reason: str = "", field: str = "", hint: str = "") -> None:
        super().__init__("Kubernetes", message, hint=hint)
        self.code = code
        self.reason = reason
        """NotFound, Forbidden, Conflict, Invalid, AlreadyExists ...; "" where the server was not reached."""
        self.field = field
        """A path like `spec.template.spec.containers[0].image`."""
