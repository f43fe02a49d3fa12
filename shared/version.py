"""Which code produced a result."""

import hashlib
import tomllib
from functools import cache

from shared.settings import PROJECT_ROOT

_PACKAGES = ("shared", "scheduler", "worker")


@cache
def code_version() -> str:
    """Version and fingerprint of the source, such as `0.1.0+3f2a91c04b7e`; edits change it."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['version']}+{source_fingerprint(*_PACKAGES)[:12]}"


@cache
def source_fingerprint(*folders: str) -> str:
    """64 hex digits of every Python file in these folders of the project, such as `worker/engine`."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((PROJECT_ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(PROJECT_ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
