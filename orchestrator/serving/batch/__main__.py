"""A process of a batch: `python -m orchestrator.serving.batch HANDLE`, the handle being that of its connection."""

from __future__ import annotations

import sys

from orchestrator.serving.batch import worker

if __name__ == "__main__":
    worker.main(int(sys.argv[1]))
