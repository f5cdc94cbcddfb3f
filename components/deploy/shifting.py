"""The traffic of an endpoint of this machine's model server, as it is moved from what is served to what is deployed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving import declarations, local
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.rollout import mixture, reading
from orchestrator.serving.rollout.reading import Reading


@dataclass(slots=True)
class Shifting:
    """One endpoint under way from one declaration, or none, to another."""

    state: Path
    before: Declaration | None
    after: Declaration
    prove: Callable[[Declaration, str, Collection[str]], None]
    """Given the declaration, the server's URL and the names of variants: whether each answers as it should."""
    say: Callable[[str], None]
    url: str = ""
    """Of the server, once it serves what was declared."""
    written: str = ""
    """The fingerprint of what was declared here last; "" before that."""

    def shift(self, percent: int) -> tuple[str, ...]:
        """Give the new version that share; the names that it answers as. At 0 it answers only who asks for it."""
        mixed = mixture.mix(self.before or self.after, self.after, percent)
        self._declare(mixed.declaration)
        # Only now: a server ends when nothing is declared.
        server = local.ensure(self.state)
        if server.url != self.url:
            self.say(f"the model server is {server.url} (process {server.pid})")
        self.url = server.url
        local.wait_ready(self.url, mixed.declaration)
        names = [each.name for each in mixed.declaration.variants] if percent >= 100 else mixed.new
        self.prove(mixed.declaration, self.url, names)
        return mixed.new

    def read(self) -> Reading:
        """What the server counts for this endpoint. Raises BackendError."""
        server = local.find(self.state)
        if server is None:
            raise BackendError("model server", "it ended meanwhile")
        return reading.read(local.metrics(server.url), self.after.name, str(server.pid))

    def check(self) -> None:
        """Raises OrchestratorError when somebody else declared the endpoint anew, or stopped it."""
        if self.is_changed:
            hint = "`orc endpoints` says what is served; deploy again"
            raise OrchestratorError("somebody else changed or stopped it meanwhile", hint=hint)

    @property
    def is_changed(self) -> bool:
        """Whether the declaration is no longer the one that was written here last."""
        if not self.written:
            return False
        try:
            live = declarations.read(self.state, self.after.name)
        except OrchestratorError:  # Damaged: by somebody else.
            return True
        return live is None or declarations.fingerprint(live) != self.written

    def _declare(self, declaration: Declaration) -> None:
        self.check()
        local.declare(self.state, declaration)
        self.written = declarations.fingerprint(declaration)
