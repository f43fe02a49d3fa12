"""The images that the real files name: pulled where that works, else stand-ins made of Debian packages.

The stand-ins take mirror, certificates and pip's settings from this machine while the tests run; nothing of
them is written to the project.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.compose.engine import Engine, NoEngine, say

_STAND_INS = Path(__file__).with_name("stand_ins")
_PYTHON, _POSTGRES, _REDIS = "python:3.11-slim", "postgres:17", "redis:7"
_POSTGRES_BASE = "recsweep-test/postgres-base"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PULL_SECONDS = 90
_PASSED = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


@contextmanager
def base_images(engine: Engine) -> Iterator[None]:
    """All images of the real files while entered; those made here are removed."""
    made: list[str] = []
    try:
        missing = [name for name in (_PYTHON, _POSTGRES, _REDIS) if not _is_there(engine, name)]
        if missing and not _pull(engine, missing):
            made = missing
            _make(engine, missing)
        yield
    finally:
        for name in [*made, *([_POSTGRES_BASE] if _POSTGRES in made else [])]:
            engine.docker("rmi", "--force", name, is_checked=False)


def _is_there(engine: Engine, name: str) -> bool:
    return bool(engine.docker("images", "--quiet", name))


def _pull(engine: Engine, names: list[str]) -> bool:
    """Whether all could be had; the first refusal ends the attempt."""
    for name in names:
        try:
            done = subprocess.run(
                ["docker", "pull", "--quiet", name],
                env=engine.environment,
                capture_output=True,
                timeout=_PULL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        if done.returncode != 0:
            return False
    return True


def _make(engine: Engine, names: list[str]) -> None:
    say(f"no image can be pulled: making stand-ins for {', '.join(names)} with debootstrap")
    if not shutil.which("debootstrap"):
        raise NoEngine("no image can be pulled, and debootstrap is not installed to make stand-ins")
    with tempfile.TemporaryDirectory(prefix="recsweep-images-", ignore_cleanup_errors=True) as folder:
        jobs = []
        with ThreadPoolExecutor() as pool:
            if _PYTHON in names or _REDIS in names:
                jobs.append(pool.submit(_make_python, engine, Path(folder) / "python"))
            if _POSTGRES in names:
                jobs.append(pool.submit(_make_postgres, engine, Path(folder) / "postgres"))
        for job in jobs:
            job.result()
    if _REDIS in names:
        engine.docker("build", "--quiet", "--tag", _REDIS, str(_STAND_INS / "redis"))


def _make_python(engine: Engine, root: Path) -> None:
    _debootstrap("bookworm", root, "ca-certificates,python3,python3-pip,python3-venv")
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for marker in (root / "usr/lib").glob("python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    if _CERTIFICATES.exists():
        shutil.copy(_CERTIFICATES, root / "etc/ssl/certs/ca-certificates.crt")
    # For the Debian packages of the Redis image.
    for source in _apt_sources():
        target = root / source.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    variables = {"PIP_CERT": str(_CERTIFICATES)} | {k: os.environ[k] for k in _PASSED if k in os.environ}
    _import(engine, root, _PYTHON, _pip_settings() | variables)


def _make_postgres(engine: Engine, root: Path) -> None:
    _debootstrap("trixie", root, "postgresql-17")
    _import(engine, root, _POSTGRES_BASE, {})
    engine.docker("build", "--quiet", "--tag", _POSTGRES, str(_STAND_INS / "postgres"))


def _debootstrap(suite: str, root: Path, packages: str) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", suite, str(root), _mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoEngine(f"debootstrap {suite} failed: {done.stdout.strip()[-300:]}")


def _import(engine: Engine, root: Path, name: str, variables: dict[str, str]) -> None:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    changes = [f"ENV {key}={value}" for key, value in ({"PATH": path} | variables).items()]
    options = [word for change in changes for word in ("--change", change)]
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as archive:
        command = ["docker", "import", *options, "-", name]
        subprocess.run(
            command, env=engine.environment, stdin=archive.stdout, stdout=subprocess.DEVNULL, check=True
        )


def _apt_sources() -> list[Path]:
    etc = Path("/etc/apt")
    found = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    return [path for path in found if path.is_file() and path.suffix in (".list", ".sources")]


def _mirror() -> str:
    """The mirror of this machine's own packages."""
    for path in _apt_sources():
        found = re.search(r"^(?:URIs:|deb(?: \[[^\]]*\])?) *(\S+://\S+)", path.read_text(), re.MULTILINE)
        if found:
            return found.group(1)
    raise NoEngine("no Debian mirror is named in /etc/apt: stand-in images cannot be made")


def _pip_settings() -> dict[str, str]:
    """Where this machine's pip looks, as variables; folders of this machine mean nothing elsewhere."""
    listed = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    pairs = re.findall(r"^(?:global|install)\.(index-url|trusted-host)='([^']+)'$", listed, re.MULTILINE)
    return {f"PIP_{key.replace('-', '_').upper()}": value for key, value in pairs}
