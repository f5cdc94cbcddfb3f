"""The command `orc`, and `python -m orchestrator`: Ctrl-C ends it without a word while it still loads, too."""

from __future__ import annotations

import sys


def main() -> int:
    """Run `orc` with the arguments of the process; the exit code."""
    try:
        from orchestrator import cli

        return cli.main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
