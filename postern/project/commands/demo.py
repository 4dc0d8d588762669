"""`postern demo`: lend the process tree to the demo's room, which may not reach up for it."""

from argparse import Namespace

from postern.demo.run import Machinery, main
from postern.project import processes


def demo(chosen: Namespace) -> int:
    """Run the demo; its exit status is ours."""
    arguments = [f"--{name}" for name in ("once", "keep") if getattr(chosen, name)]
    if chosen.port:
        arguments += ["--port", str(chosen.port)]
    machinery = Machinery(
        become_unprivileged=processes.become_unprivileged,
        installation=processes.installation,
        tree=processes.Tree,
        tend=processes.tend_until_stopped,
        stop_signal=processes.StopSignal,
        answers=lambda: processes.Listen.from_environment().answers(),
    )
    return main(arguments, machinery)
