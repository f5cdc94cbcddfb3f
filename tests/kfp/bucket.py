"""An object store that speaks S3, as a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

_SERVER = """
import logging, socket, sys
import boto3
from moto.server import ThreadedMotoServer
logging.disable()
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
server.start()
url = f"http://127.0.0.1:{port}"
s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
s3.create_bucket(Bucket="lake")
print(url, flush=True)
for line in sys.stdin:
    listed = s3.list_objects_v2(Bucket=line.strip()).get("Contents", [])
    print(" ".join(each["Key"] for each in listed), flush=True)
"""


class Bucket:
    """The store: where it is, and what is in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self._process = process
        self.url = process.stdout.readline().strip()

    def names(self) -> list[str]:
        """The names of the objects in the bucket `lake`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("lake\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().split()


@contextlib.contextmanager
def serving() -> Iterator[Bucket]:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Bucket(process)
        finally:
            process.kill()
