"""Mail servers that are not installed on this machine: fetched as packages, unpacked aside, run in a view of their own.

Cyrus, Courier, Exim and OpenSMTPD conflict with the Dovecot and Postfix of the system; fail2ban would watch it. `tests/servers/fetch`
(or `./dev servers`) downloads their Debian packages into a cache folder, POSTERN_TEST_SERVERS or
~/.cache/postern-servers, and unpacks each into a tree there. A server runs in a mount namespace whose /usr is
the system's with that tree laid over it and whose /etc and /var are its own: it finds the paths that
were compiled into it, and the system sees nothing of it. That takes Linux and root; without, tests say so.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.servers import running

PACKAGES = {
    "cyrus": (
        "cyrus-imapd cyrus-common libical3 libclamav12 libpcre3 libxapian30 libzephyr4 libmspack0"
        " sasl2-bin libsasl2-modules libsasl2-modules-db"
    ),
    "courier": (
        "courier-imap courier-base courier-authlib courier-authdaemon courier-authlib-userdb"
        " libcourier-unicode4 libgamin0 gamin libidn12 libltdl7"
    ),
    "exim": "exim4-daemon-light exim4-base libidn12",
    "opensmtpd": "opensmtpd libevent-2.1-7",
    "fail2ban": "fail2ban",
}
"""What each server is made of, beside what any Debian with this project's tests has already. Fail2ban only reads logs."""

PROGRAMS = {
    "cyrus": "usr/lib/cyrus/bin/imapd",
    "courier": "usr/bin/imapd",
    "exim": "usr/sbin/exim4",
    "opensmtpd": "usr/sbin/smtpd",
    "fail2ban": "usr/bin/fail2ban-regex",
}

# Runs as root in a new mount namespace; ends by becoming the server, so that its process is ours to end.
ENTER = """
set -e
root=$1 tree=$2; shift 2
mount -t overlay overlay -o lowerdir="$tree/usr":/usr "$root/usr"
for name in dev sys; do mount --rbind "/$name" "$root/$name"; done
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"
"""


def cache() -> Path:
    """The folder outside the repository that holds the unpacked packages."""
    if chosen := os.environ.get("POSTERN_TEST_SERVERS"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "postern-servers"


def fetch(name: str) -> str:
    """Download and unpack one server unless it is there; '' or the reason why that failed."""
    place = cache()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with (place / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return "" if _unpacked(name) else _download(name)
    except OSError as error:
        return str(error)


def available(name: str) -> str:
    """Return '' when this server can run here, else the reason why not. Downloads nothing."""
    if os.geteuid() != 0:
        return f"{name}: only root can give a server its own view of the file system"
    if not _unpacked(name):
        return f"{name} is not in {cache()} (./dev servers fetches it)"
    if running.program("unshare") is None:
        return f"{name}: the program unshare (util-linux) is missing"
    if absent := _missing_libraries(name):
        return f"{name} lacks libraries on this machine: {absent}"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"{name}: mount namespaces are not allowed here ({tried.stderr})"


class Room:
    """The view of one running server: `root`, below `home`, with an /etc, /var and /tmp of its own.

    users: system users that the server wants, name to number; `nobody` is running.mail_user().
    """

    def __init__(self, name: str, home: Path, users: Mapping[str, int]) -> None:
        self.name, self.home, self.root = name, home, home / "root"
        self.tree = cache() / name
        for folder in ("usr", "dev", "proc", "sys", "etc", "var", "run", "var/run", "var/empty"):
            (self.root / folder).mkdir(parents=True)
        self.folder("/tmp", 0, 0o1777)
        for link in ("bin", "sbin", "lib", "lib64"):
            (self.root / link).symlink_to(f"usr/{link}")
        shutil.copytree(self.tree / "etc", self.root / "etc", dirs_exist_ok=True, symlinks=True)
        for common in ("nsswitch.conf", "hosts", "localtime", "ld.so.conf", "services", "protocols"):
            if Path("/etc", common).exists():
                shutil.copy(Path("/etc", common), self.root / "etc" / common)
        owner = running.mail_user()
        people = {"root": 0, "nobody": owner.pw_uid, **users}
        lines = [f"{who}:x:{number}:{number}::/:/bin/false\n" for who, number in people.items()]
        (self.root / "etc/passwd").write_text("".join(lines))
        groups = {"nogroup": owner.pw_gid, "mail": 8, **people}
        (self.root / "etc/group").write_text("".join(f"{who}:x:{n}:\n" for who, n in groups.items()))

    def path(self, inside: str) -> Path:
        """Where a path of the server's view lies for us."""
        return self.root / inside.lstrip("/")

    def folder(self, inside: str, owner: int, mode: int = 0o755) -> Path:
        """Make a folder in the server's view for a user id."""
        made = self.path(inside)
        made.mkdir(parents=True, exist_ok=True)
        os.chown(made, owner, owner)
        made.chmod(mode)
        return made

    def start(
        self,
        command: list[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        *,
        enclosed: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a daemon inside; end it with running.stop. `enclosed`: what it leaves behind ends with it."""
        entered = self._entered(command)
        if enclosed:
            entered[1:1] = ["--pid", "--fork", "--kill-child"]
        return running.start(entered, log, environment)

    def run(self, *command: str, feed: str = "") -> str:
        """Run a program inside to its end and return what it printed. CalledProcessError when it fails."""
        done = subprocess.run(
            self._entered(list(command)), input=feed, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def _entered(self, command: list[str]) -> list[str]:
        enter = ["sh", "-c", ENTER, "enter", str(self.root), str(self.tree), *command]
        return ["unshare", "--mount", "--propagation", "private", *enter]


def maildir(box: Path) -> list[bytes]:
    """The letters of a maildir, in order of arrival."""
    files = sorted([*box.glob("new/*"), *box.glob("cur/*")], key=lambda path: path.stat().st_mtime_ns)
    return [path.read_bytes() for path in files]


def _unpacked(name: str) -> bool:
    return (cache() / name / PROGRAMS[name]).exists()


def _download(name: str) -> str:
    tool = shutil.which("apt-get")
    if tool is None:
        return "only Debian's packages are known (apt-get)"
    packages = cache() / f"{name}.packages"
    shutil.rmtree(packages, ignore_errors=True)
    packages.mkdir()
    command = [tool, "download", "-q", *PACKAGES[name].split()]
    for attempt in (1, 2):
        done = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode == 0:
            break
        if attempt == 2:
            return done.stderr.strip()[-500:]
        subprocess.run([tool, "update", "-q"], capture_output=True, check=False, timeout=300)
    fresh = cache() / f"{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for package in sorted(packages.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(fresh)], check=True)
    _move_below_usr(fresh)
    shutil.rmtree(cache() / name, ignore_errors=True)
    fresh.rename(cache() / name)
    shutil.rmtree(packages)
    return ""


def _move_below_usr(tree: Path) -> None:
    """Packages still say /lib and /sbin where the system has one /usr."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if (tree / name).is_dir():
            shutil.copytree(tree / name, tree / "usr" / name, dirs_exist_ok=True, symlinks=True)
            shutil.rmtree(tree / name)


def _missing_libraries(name: str) -> str:
    tree = cache() / name / "usr"
    ours = ":".join(str(folder) for folder in [*tree.glob("lib/*-linux-gnu"), tree / "lib"])
    printed = subprocess.run(
        ["ldd", str(cache() / name / PROGRAMS[name])],
        env={**os.environ, "LD_LIBRARY_PATH": ours},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return ", ".join(line.split()[0] for line in printed.splitlines() if "not found" in line)


def main() -> None:
    """Fetch what is named, or all; a failure is told and is no error: the tests will name what they skip."""
    for name in sys.argv[1:] or PACKAGES:
        reason = fetch(name) or available(name)
        print(f"{name}: {'SKIPPED, ' + reason if reason else 'there'}")


if __name__ == "__main__":
    main()
