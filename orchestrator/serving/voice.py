"""What a server says of itself, on stderr: a detached one's is its log file."""

from __future__ import annotations

import logging
import sys


def speak(prefix: str = "") -> None:
    """Our own lines, and complaints of others."""
    form = f"%(asctime)s %(levelname)-7s {prefix}%(message)s"
    logging.basicConfig(format=form, level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("orchestrator").setLevel(logging.INFO)
