"""Generated passwords and the private files that hold them."""

import secrets
from pathlib import Path

from shared.files import write_whole


def new_password() -> str:
    """A random password of 48 hexadecimal digits: safe in URLs, SQL and configuration files."""
    return secrets.token_hex(24)


def write_if_changed(path: Path, text: str) -> bool:
    """Write a private file unless it holds the text already; returns whether it was written."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    write_whole(path, text, is_durable=True)
    return True
