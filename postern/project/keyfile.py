"""The installation's key file: made once, readable by its owner alone, outside the data and the backups."""

import os
import secrets
from pathlib import Path


def ensure_key_file(path: Path) -> bool:
    """Create the key file when it is missing; True when it was made now.

    It holds one line, 32 random bytes in hexadecimal, and has mode 0600. Two first starts at the same
    moment end with one file: the slower one keeps what it finds.
    """
    if path.exists():
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return True
