"""What each `postern` command does, one file per verb where it is more than a call into another room."""

import os
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module

from postern.project.children import end_with_my_parent

Verb = Callable[[Namespace], int | None]


def in_process(target: str, role: str) -> Verb:
    """Return a verb that runs `module:function` without arguments as the database role `role`."""

    def verb(chosen: Namespace) -> int | None:
        os.environ.setdefault("POSTERN_ROLE", role)
        end_with_my_parent()
        module, name = target.split(":")
        result: int | None = getattr(import_module(module), name)()
        return result

    return verb


def process(target: str, role: str) -> Verb:
    """Return a verb as `in_process` that first waits for the database, and refuses one of another version or wall."""
    run = in_process(target, role)

    def verb(chosen: Namespace) -> int | None:
        from postern.project import schema

        os.environ.setdefault("POSTERN_ROLE", role)
        end_with_my_parent()
        schema.require_current(role, patience=schema.FOR_EVER)  # sets Django up
        from postern.project.standing import require_wall

        require_wall()
        return run(chosen)

    return verb


def one_shot(target: str, role: str, *, any_tables: bool = False) -> Verb:
    """Return a verb that runs `module:function(chosen)` with Django and a running database, as `role`.

    Unless `any_tables`, a database of a newer or older Postern is refused.
    """

    def verb(chosen: Namespace) -> int | None:
        import django

        from postern.project import schema
        from postern.project.processes import installation

        os.environ["POSTERN_ROLE"] = role
        with installation(share=True):
            django.setup()
            if not any_tables:
                schema.require_current(role)
            module, name = target.split(":")
            result: int | None = getattr(import_module(module), name)(chosen)
            return result

    return verb


def alone(target: str) -> Verb:
    """Return a verb that runs `module:function(chosen)` and needs nothing else."""

    def verb(chosen: Namespace) -> int | None:
        module, name = target.split(":")
        result: int | None = getattr(import_module(module), name)(chosen)
        return result

    return verb


HERE = "postern.project.commands"
VERBS: dict[str, Verb] = {
    "up": in_process("postern.project.processes:up", "owner"),
    "worker": in_process("postern.project.processes:worker", "owner"),
    "web": process("postern.project.processes:serve_web", "web"),
    "sync": process("postern.sync.run:main", "sync"),
    "send": process("postern.project.jobs:main", "send"),
    "demo": alone(f"{HERE}.demo:demo"),
    "migrate": alone(f"{HERE}.migrate:run"),
    "backup": one_shot(f"{HERE}.backup:backup", "owner", any_tables=True),
    "restore": alone(f"{HERE}.backup:restore"),
    "rotate-keys": one_shot(f"{HERE}.keys:rotate_keys", "owner"),
    "check": one_shot("postern.project.check:check", "web", any_tables=True),
    "create-admin": one_shot(f"{HERE}.create_admin:create_admin", "owner"),
    "import-customers": one_shot(f"{HERE}.customers:import_customers", "web"),
    "file-mail": one_shot(f"{HERE}.customers:file_mail", "send"),
    "password": one_shot(f"{HERE}.password:password", "owner"),
    "token": one_shot(f"{HERE}.token:token", "owner"),
    "mailbox": one_shot(f"{HERE}.mailbox:mailbox", "sync"),
    "letters": one_shot(f"{HERE}.letters:letters", "sync"),
    "rebuild": one_shot(f"{HERE}.letters:rebuild", "sync"),
    "letter": alone(f"{HERE}.letter:letter"),
    "version": alone(f"{HERE}.version:version"),
}
