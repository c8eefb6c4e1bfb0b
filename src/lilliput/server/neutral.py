"""OpenAI's fields that this server lacks. The value that changes nothing is accepted, and any other value is refused.

Clients and frameworks send these fields with every request. null means that a field is left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from lilliput.base.config import Config

Zero = Annotated[float, Field(ge=0, le=0)]
Empty = Annotated[list[Any], Field(max_length=0)]
EmptyObject = Annotated[dict[str, Any], Field(max_length=0)]


class Body(Config):
    """A request's JSON, without unknown fields and without values that must be converted to another type."""

    model_config = ConfigDict(strict=True)


class Neutral(Body):
    """Fields that requests of both routes may hold."""

    user: str | None = Field(default=None, description="taken and not used")
    frequency_penalty: Zero | None = Field(default=None, description="not supported: 0 only")
    presence_penalty: Zero | None = Field(default=None, description="not supported: 0 only")
    logit_bias: dict[str, Zero] | None = Field(default=None, description="not supported: empty, or every bias 0")
    store: Literal[False] | None = Field(default=None, description="nothing is stored: false only")
    metadata: EmptyObject | None = Field(default=None, description="nothing is stored: empty only")
    service_tier: Literal["auto", "default"] | None = Field(default=None, description="there is one tier")
    safety_identifier: str | None = Field(default=None, description="taken and not used")
    prompt_cache_key: str | None = Field(default=None, description="taken and not used")
    prompt_cache_retention: Literal["in_memory", "in-memory"] | None = Field(
        default=None, description="nothing is kept longer than a request"
    )


class NeutralChat(Neutral):
    """Further fields that chats may hold. There is no sound and no hidden reasoning."""

    functions: Empty | None = Field(default=None, description="not supported: empty only")
    function_call: Literal["none", "auto"] | None = Field(default=None, description="there are no functions")
    modalities: list[Literal["text"]] | None = Field(default=None, description="text only")
    audio: None = Field(default=None, description="not supported")
    prediction: None = Field(default=None, description="not supported")
    web_search_options: None = Field(default=None, description="not supported")
    reasoning_effort: Literal["none"] | None = Field(default=None, description="there is no hidden reasoning")
    verbosity: Literal["medium"] | None = Field(default=None, description="not supported: medium only")


class NeutralMessage(Body):
    """Fields of an answer's message in OpenAI's API, accepted so that a client can send the message back unchanged."""

    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: Empty | None = Field(default=None, description="not supported: empty only")
