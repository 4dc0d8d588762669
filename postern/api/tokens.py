"""Tokens of one's own: list, make (shown once), revoke."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status
from pydantic import AwareDatetime

from postern.api.auth import token_of, who
from postern.api.errors import Refusal
from postern.api.shapes import Body, Text
from postern.people.models import Token
from postern.people.tokens import make_token, revoke_token

router = Router(tags=["Tokens"])


class TokenNew(Body):
    """What it is for, and until when it works."""

    name: Annotated[Text, Field(min_length=1, max_length=80)]
    ends_at: AwareDatetime | None = None


class TokenOut(Schema):
    """A token, without the token itself; `this` marks the one of this request."""

    id: int
    name: str
    ends_at: datetime | None
    used_at: datetime | None
    created_at: datetime
    this: bool


class TokenMade(TokenOut):
    """The new token, shown this once."""

    token: str


@router.get("", response=list[TokenOut], operation_id="list_tokens", summary="List one's tokens")
def list_tokens(request: HttpRequest) -> list[TokenOut]:
    """Names and dates; the tokens themselves are not kept."""
    return [TokenOut(**_values(request, row)) for row in Token.objects.filter(staff=who(request))]


@router.post("", response={201: TokenMade}, operation_id="make_token", summary="Make a token")
def make(request: HttpRequest, data: TokenNew) -> Status[TokenMade]:
    """A token that ends cannot make one that lasts longer."""
    end = token_of(request).ends_at
    if end is not None and (data.ends_at is None or data.ends_at > end):
        raise Refusal(
            "invalid", "It cannot last longer than the token that makes it.", {"ends_at": ["Too late."]}
        )
    try:
        row, secret = make_token(staff=who(request), name=data.name, ends_at=data.ends_at)
    except ValueError as error:
        raise Refusal("invalid", str(error), {"ends_at": [str(error)]}) from error
    return Status(201, TokenMade(token=secret, **_values(request, row)))


@router.delete("/{int:pk}", response={204: None}, operation_id="revoke_token", summary="Revoke a token")
def revoke(request: HttpRequest, pk: int) -> Status[None]:
    """It stops working with the next request, also when it is this one."""
    revoke_token(staff=who(request), token_id=pk)
    return Status(204, None)


def _values(request: HttpRequest, row: Token) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "ends_at": row.ends_at,
        "used_at": row.used_at,
        "created_at": row.created_at,
        "this": row.pk == token_of(request).pk,
    }
