"""The installation's key file: made once, readable by its owner alone, outside the data and the backups."""

import contextlib
import os
import secrets
from pathlib import Path

from postern.mailboxes.keylines import KeyLines


def key_file() -> Path:
    """Return where the key file lies: POSTERN_SECRET_KEY_FILE, or the user's configuration folder.

    Root's own folder is closed to the unprivileged user that the processes become: then /etc/postern.
    """
    chosen = os.environ.get("POSTERN_SECRET_KEY_FILE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/etc/postern/secret.key")
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "postern" / "secret.key"


def ensure_key_file(path: Path) -> bool:
    """Create the key file when it is missing; True when it was made now.

    It holds one line, 32 random bytes in hexadecimal, and has mode 0600. Two first starts at the same
    moment end with one file: the slower one keeps what it finds.
    """
    if path.exists():
        return False
    # As root the folder must let the unprivileged user through; the file itself stays closed.
    path.parent.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(new_key() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def read_keys(path: Path) -> KeyLines:
    """Return what stands in the key file. Raises OSError, ValueError for a damaged one."""
    return KeyLines.parse(path.read_text())


def write_keys(path: Path, keys: KeyLines) -> None:
    """Put other keys into the file: at any moment it holds either the old text or the new, whole and on the disk.

    It keeps its owner and mode 0600, and a link keeps leading to it. Raises OSError.
    """
    path = path.resolve()
    owner, part = path.stat(), path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)  # of a run that was killed
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(keys.text())
            file.flush()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def new_key() -> str:
    """Return a fresh key as the file writes it."""
    return secrets.token_hex(32)
