"""Packages a command needs that the lean core does not bring."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from orchestrator.errors import OrchestratorError


@contextlib.contextmanager
def needed(*extras: str) -> Iterator[None]:
    """Imports inside may find a package missing; the extra that brings it is then named."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("orchestrator", "components"):
            raise
        hint = f"pip install 'orchestrator[{','.join(extras)}]'"
        raise OrchestratorError(f"the package {error.name!r} is not installed", hint=hint) from error
