"""`python -m orchestrator.serving.queue`: answers queued requests, told on standard input, until that is closed."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from orchestrator.serving import backends, voice
from orchestrator.serving.answer import Answering
from orchestrator.serving.capture.captures import Captures
from orchestrator.serving.codec import RequestError
from orchestrator.serving.exchange import Exchange
from orchestrator.serving.host import Host
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.work import Work

# Time is kept by whoever started this process; it may be killed.
_PATIENCE = 3600.0
_COUNT_SECONDS = 1.0


def main() -> int:
    """Answer until nobody is there to ask."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.serving.queue", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the folder of the one declaration")
    parser.add_argument("--state", type=Path, required=True, help="the state folder of the server")
    parser.add_argument("--name", required=True, help="the endpoint")
    given = parser.parse_args()
    # What a model prints is for the log; the answers to whoever asks have this pipe for themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    voice.speak(f"[queue of {given.name}] ")
    metrics = Metrics()
    captures = Captures(given.state, metrics)
    host = Host(given.folder, backends.load, metrics, [captures])
    loop = asyncio.new_event_loop()
    asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    counter = _Counter(captures, given.name)
    # At once: whoever started us may be gone while models load, and a model may never give this thread back.
    threading.Thread(target=_listen, args=(loop, asked, counter, answers), daemon=True).start()
    host.refresh()
    (status,) = host.endpoints.values()
    if status.hosted is None:
        _say(answers, {"failed": status.reason})
        return 1
    _say(answers, {"ready": True})
    loop.run_until_complete(_serve(Answering(host, Work(1)), counter, given.name, asked, answers))
    return 0


class _Counter:
    """What was captured and dropped since it was last asked: whoever started this process counts it."""

    def __init__(self, captures: Captures, name: str) -> None:
        self.captures = captures
        self._name = name
        self._counted: dict[str, int] = {}

    def counts(self) -> dict[str, int]:
        standing = self.captures.standing(self._name)
        now = {"": standing.captured, **standing.dropped} if standing is not None else {}
        since = {key: count - self._counted.get(key, 0) for key, count in now.items()}
        self._counted = now
        return since

    def last(self) -> dict[str, int]:
        """Once all is written."""
        self.captures.flush()
        return self.counts()


async def _serve(
    answering: Answering, counter: _Counter, name: str, asked: asyncio.Queue[dict[str, Any]], answers: TextIO
) -> None:
    while True:
        try:
            message = await asyncio.wait_for(asked.get(), _COUNT_SECONDS)
        except TimeoutError:
            # What was captured is written a moment after its answer.
            if any((counts := counter.counts()).values()):
                _say(answers, {"counts": counts})
            continue
        said = await _answered(answering, name, message)
        _say(answers, {**said, "counts": counter.counts()})


async def _answered(answering: Answering, name: str, message: dict[str, Any]) -> dict[str, Any]:
    try:
        body = Path(message["body"]).read_bytes()
        seconds = message["seconds"] + _PATIENCE
        exchange = await answering.answer(name, message["protocol"], body, message["headers"], timeout=seconds)
        Path(message["answer"]).write_bytes(exchange.response)
    except RequestError as error:
        return {"error": error.message, "status": error.status}
    except OSError as error:
        return {"error": f"{error.filename}: {error.strerror}", "status": 500}
    except MemoryError:
        return {"error": "there is not enough memory to answer it", "status": 500}
    return {"content_type": _content_type(exchange), "variant": exchange.variant, "version": exchange.version}


def _content_type(exchange: Exchange) -> str:
    """Over HTTP a header says where the JSON before binary tensors ends; a file has only this."""
    if exchange.json_length is None:
        return exchange.response_type
    return f"{exchange.response_type}; json-length={exchange.json_length}"


def _listen(
    loop: asyncio.AbstractEventLoop, asked: asyncio.Queue[dict[str, Any]], counter: _Counter, answers: TextIO
) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(asked.put_nowait, json.loads(line))
    # Nobody is there any more, or wants no more of us; what a model is doing cannot be stopped in any other way.
    _say(answers, {"counts": counter.last()})
    os._exit(0)


def _say(answers: TextIO, message: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(message) + "\n")
    except OSError:  # Nobody listens any more.
        os._exit(0)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Not sys.exit: it waits for threads.
    os._exit(code)
