"""`postern demo`: hand over to the demo's room."""

from argparse import Namespace

from postern.demo.run import main


def demo(chosen: Namespace) -> int | None:
    """Run the demo; its exit status is ours."""
    arguments = ["--once"] if chosen.once else []
    if chosen.port:
        arguments += ["--port", str(chosen.port)]
    status: int | None = main(arguments)
    return status
