"""Schemas of the settings, made from the models and sections.py: a new setting needs no line here."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from django.db import models
from pydantic import Field, create_model

from postern.api.shapes import Body, Text
from postern.mailboxes.sections import PASSWORDS

_KINDS: tuple[tuple[type[models.Field[Any, Any]], Any], ...] = (
    (models.BooleanField, bool),
    (models.IntegerField, Annotated[int, Field(ge=0, le=999_999_999)]),
    (models.DateField, date | None),
    (models.CharField, Text),
)


def settings_schema(name: str, model: type[models.Model], fields: tuple[str, ...]) -> Any:
    """Return the body that takes these settings, each of them optional; what else is sent is refused."""
    return create_model(name, __base__=Body, **{field: _input(model, field) for field in fields})


def shown_fields(fields: tuple[str, ...]) -> tuple[str, ...]:
    """The settings that may be told: all but the passwords, and the deny list, which is rows of its own."""
    return tuple(field for field in fields if field not in (*PASSWORDS, "deny_list"))


def values(row: models.Model, fields: tuple[str, ...]) -> dict[str, Any]:
    """The settings of a row that may be told."""
    return {field: getattr(row, field) for field in shown_fields(fields)}


def _input(model: type[models.Model], name: str) -> Any:
    if name in PASSWORDS:
        return (Text, Field(default="", description="Write-only; left out or empty, the stored one stays."))
    if name == "deny_list":
        about = "One address or domain a line; # begins a comment. Replaces the whole list."
        return (Text, Field(default="", description=about))
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    kind = next(kind for cls, kind in _KINDS if isinstance(field, cls))
    about = ". ".join(str(part).rstrip(".") for part in (field.verbose_name, field.help_text) if part)
    if field.choices:
        about += f". One of: {', '.join(str(key) for key, _ in field.flatchoices)}"
    return (kind, Field(default=field.get_default(), description=f"{about}."))
