"""Fields of OpenAI's that this server lacks: at the value that changes nothing they are taken, at any other refused.

Clients and frameworks send them with every request. null stands for leaving a field out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from lilliput.base.config import Config

Zero = Annotated[float, Field(ge=0, le=0)]
Empty = Annotated[list[Any], Field(max_length=0)]
EmptyObject = Annotated[dict[str, Any], Field(max_length=0)]


class Body(Config):
    """A request's JSON: no unknown field, and no value that has to be turned into another type."""

    model_config = ConfigDict(strict=True)


class Neutral(Body):
    """What requests of both routes may hold."""

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
    """What chats may hold besides: there are no tools, no sound and no hidden reasoning."""

    tools: Empty | None = Field(default=None, description="not supported: empty only")
    tool_choice: Literal["none", "auto"] | None = Field(default=None, description="there are no tools")
    parallel_tool_calls: bool | None = Field(default=None, description="there are no tools")
    functions: Empty | None = Field(default=None, description="not supported: empty only")
    function_call: Literal["none", "auto"] | None = Field(default=None, description="there are no functions")
    modalities: list[Literal["text"]] | None = Field(default=None, description="text only")
    audio: None = Field(default=None, description="not supported")
    prediction: None = Field(default=None, description="not supported")
    web_search_options: None = Field(default=None, description="not supported")
    reasoning_effort: Literal["none"] | None = Field(default=None, description="there is no hidden reasoning")
    verbosity: Literal["medium"] | None = Field(default=None, description="not supported: medium only")


class NeutralMessage(Body):
    """What an answer's message holds in OpenAI's API, so that it can be sent back as it came."""

    name: None = Field(default=None, description="not supported")
    refusal: None = None
    audio: None = None
    function_call: None = None
    tool_calls: Empty | None = Field(default=None, description="not supported: empty only")
    annotations: Empty | None = Field(default=None, description="not supported: empty only")
