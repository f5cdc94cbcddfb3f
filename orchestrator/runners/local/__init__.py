"""IR to events on this machine: each task a process of its own."""

from orchestrator.runners.local.runner import Request as Request
from orchestrator.runners.local.runner import run as run
from orchestrator.runners.local.work import Done as Done
from orchestrator.runners.local.work import Earlier as Earlier
