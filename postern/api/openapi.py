"""The OpenAPI document: Ninja's, with the one way in which every operation refuses."""

from __future__ import annotations

from typing import Any, ClassVar

from ninja import NinjaAPI, Schema
from ninja.openapi.schema import OpenAPISchema
from pydantic import ConfigDict, Field

REF = "#/components/schemas/{model}"


class Problem(Schema):
    """A refusal (RFC 9457). `code` is stable; `detail` is a sentence for a person."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    type: str = Field(examples=["about:blank"])
    title: str
    status: int = Field(ge=400, lt=600)
    code: str = Field(examples=["not_found"])
    detail: str
    fields: dict[str, list[str]] = Field(
        default_factory=dict, description="What is wrong with which field of the request."
    )


class DescribedAPI(NinjaAPI):
    """An API whose document says of each operation how it refuses."""

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """Return the document. Every status that an operation does not name is a Problem."""
        document = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema(ref_template=REF)
        content = {"application/problem+json": {"schema": {"$ref": REF.format(model="Problem")}}}
        for methods in document["paths"].values():
            for operation in methods.values():
                operation["responses"]["default"] = {"description": "Refused", "content": content}
        return document
