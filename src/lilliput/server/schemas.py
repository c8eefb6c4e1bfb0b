"""Schemas of requests and answers, with OpenAI's names and meanings. Lilliput's own fields are marked "our own"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from lilliput.server.neutral import Body, Neutral, NeutralChat, NeutralMessage

TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Ids = Annotated[list[TokenId], Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]
World = Literal["people", "table", "extraction"]
"""What a model was trained for where it was trained on people, on a table, or to fill templates."""
FinishReason = Literal["stop", "length", "tool_calls"]


class StreamOptions(Body):
    include_usage: bool | None = Field(default=None, description="end the stream with a chunk that holds the usage")
    include_obfuscation: Literal[False] | None = Field(default=None, description="not supported: false only")


class JsonSchema(Body):
    name: str | None = None
    description: str | None = None
    strict: bool | None = Field(default=None, description="an answer fits the schema in any case")
    schema_: dict[str, Any] = Field(alias="schema", description="the JSON Schema that the answer fits")


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class Draw(Neutral):
    """Fields that all requests for text have. null stands for the default."""

    model: str | None = Field(default=None, description="a name from /v1/models; the first one if left out")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(default=None, description="default 1; 0 is greedy")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(default=None, description="default 1")
    top_k: Annotated[int, Field(ge=0)] | None = Field(default=None, description="default 0: all tokens (our own)")
    min_p: Annotated[float, Field(ge=0, le=1)] | None = Field(default=None, description="default 0 (our own)")
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = Field(
        default=None, description="default 1 (our own)"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        default=None, description="the same seed generates the same text; drawn by the server if left out"
    )
    stop: Text | Annotated[list[Text], Field(max_length=16)] | None = Field(
        default=None, description="the text ends before the first of these"
    )
    n: Annotated[int, Field(ge=1, le=128)] | None = Field(default=None, description="default 1: texts of each prompt")
    stream: bool | None = Field(default=None, description="send server-sent events as the text is generated")
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = Field(
        default=None, description="JSON always, of a schema if given; in /v1/completions our own"
    )


class AblatedPart(Body):
    """A head or a neuron; give one of the two. Layers, heads and neurons count from 0."""

    layer: Annotated[int, Field(ge=0)]
    head: Annotated[int, Field(ge=0)] | None = None
    neuron: Annotated[int, Field(ge=0)] | None = None


class CompletionRequest(Draw):
    """`/v1/completions`. Give `prompt`, with `suffix` for a model that fills in the middle, or for a model that reads
    backwards `ending`."""

    prompt: str | Ids | Annotated[list[str], Field(min_length=1)] | Annotated[list[Ids], Field(min_length=1)] | None = (
        Field(default=None, description="text that begins a document, or token ids as they are (no mark is added)")
    )
    ending: str | None = Field(
        default=None,
        description="the end of the text, for a model that reads backwards (our own): the answer is the text before "
        "it, in reading order, and a chunk of a stream goes in front of the earlier chunks",
    )
    max_tokens: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="default 16; 0, with echo or forced_token_ids, scores the given text"
    )
    echo: bool | None = Field(default=None, description="the prompt is part of the text")
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        default=None, description="report each token's log-probability and this many likeliest tokens"
    )
    forced_token_ids: Ids | None = Field(
        default=None, description="ids that the answer begins with, as if the model had generated them (our own)"
    )
    return_token_ids: bool | None = Field(default=None, description="report ids beside texts (vLLM's)")
    ablate: Annotated[list[AblatedPart], Field(max_length=64)] | None = Field(
        default=None, description="parts of the model that are off for this request alone (our own)"
    )
    ablation: Literal["zero", "mean"] | None = Field(
        default=None, description="the stand-in for a part that is off: 0, or its mean output (the default; our own)"
    )
    suffix: str | None = Field(
        default=None,
        description="the text behind the answer, for a model of objective.kind=fim; empty: none",
    )
    best_of: Literal[1] | None = Field(default=None, description="not supported: 1 only")


class TextPart(Body):
    type: Literal["text"]
    text: str


class FunctionCall(Body):
    name: Text
    arguments: str = Field(description="the arguments as the text of a JSON object")


class ToolCall(Body):
    id: str
    type: Literal["function"]
    function: FunctionCall


class Function(Body):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = Field(default=None, description="the JSON Schema of the arguments")
    strict: Literal[False] | None = Field(default=None, description="not supported: false only")


class RequestTool(Body):
    type: Literal["function"]
    function: Function


class Message(NeutralMessage):
    """`content` may be null beside `tool_calls`, which an assistant's message alone has. A message of the role tool is
    the answer to the call `tool_call_id`."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[TextPart], Field(min_length=1)] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = Field(default=None, description="the function that a message of the role tool answers for")


class ChatRequest(Draw, NeutralChat):
    """`/v1/chat/completions`, for models whose tokenizer's folder holds a chat template."""

    messages: Annotated[list[Message], Field(min_length=1)]
    tools: Annotated[list[RequestTool], Field(max_length=64)] | None = Field(
        default=None, description="functions that the model may call; the client runs them"
    )
    tool_choice: Literal["none", "auto"] | None = Field(
        default=None, description="none: the tools are left out; auto: the model decides; nothing else is supported"
    )
    parallel_tool_calls: bool | None = Field(default=None, description="false: an answer holds one call at most")
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="default: as far as the context goes"
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = Field(default=None, description="the same, newer name")
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(default=None, description="needs logprobs")


class TokenizeRequest(Body):
    """`/tokenize`, with vLLM's names."""

    model: str | None = None
    prompt: str
    add_special_tokens: bool | None = Field(
        default=None, description="begin with the mark of a document's beginning; default true"
    )
    return_token_strs: bool | None = None


class DetokenizeRequest(Body):
    model: str | None = None
    tokens: list[TokenId]


class AttributionRequest(Body):
    """`/lens/attribution` (our own). The answer explains one token of a text."""

    model: str | None = None
    token_ids: Annotated[list[TokenId], Field(min_length=2)] = Field(
        description="a text as the model reads it: the prompt's ids, then the generated ids"
    )
    position: Annotated[int, Field(ge=1)] = Field(description="the token to explain, as its place in token_ids from 0")
    against: TokenId | None = Field(
        default=None, description="the token to compare it with; by default the likeliest other token"
    )
    top: Annotated[int, Field(ge=1, le=64)] | None = Field(default=None, description="default 10: parts to list")


# ---------------------------------------------------------------------------- answers

LEFT_OUT: Any = Field(default=None, exclude_if=lambda value: value is None)
"""Default of fields that only some answers hold. Every other empty field is written as null, as OpenAI does."""


class UsageReport(BaseModel):
    """`completion_tokens` counts every token that the model generated, the end mark included."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TopToken(BaseModel):
    id: int
    token: str
    logprob: float


class Logprobs(BaseModel):
    """One entry for each token; null where no token came before it. `top_tokens` (our own, with return_token_ids) lists
    the entries of `top_logprobs`, with ids and in order. For a text generated backwards, `text_offset` counts from its
    end."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]
    top_tokens: list[list[TopToken]] | None = LEFT_OUT


class Choice(BaseModel):
    index: int
    text: str
    logprobs: Logprobs | None = None
    finish_reason: FinishReason | None = None
    token_ids: list[int] | None = LEFT_OUT
    prompt_token_ids: list[int] | None = LEFT_OUT


class Completion(BaseModel):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[Choice]
    usage: UsageReport | None = LEFT_OUT


class ChatTopToken(BaseModel):
    token: str
    logprob: float
    bytes: list[int]


class ChatToken(ChatTopToken):
    top_logprobs: list[ChatTopToken]


class ChatLogprobs(BaseModel):
    content: list[ChatToken]
    refusal: None = None


class AnswerFunction(BaseModel):
    name: str
    arguments: str


class AnswerCall(BaseModel):
    """A call. `index` is its place in the message, in chunks alone; a chunk holds whole calls."""

    index: int | None = LEFT_OUT
    id: str
    type: Literal["function"] = "function"
    function: AnswerFunction


class ChatMessage(BaseModel):
    role: Literal["assistant"] | None = LEFT_OUT
    content: str | None = None
    tool_calls: list[AnswerCall] | None = LEFT_OUT


class ChatChoice(BaseModel):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageReport


class ChatDelta(BaseModel):
    index: int
    delta: ChatMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatChunk(BaseModel):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatDelta]
    usage: UsageReport | None = LEFT_OUT


class ToolArguments(Body):
    arguments: dict[str, Any]


class ToolAnswer(BaseModel):
    content: str


class ToolList(BaseModel):
    """The descriptions of the server's own tools, as `tools` of a chat takes them (our own)."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]


class ModelCard(BaseModel):
    """A model as /v1/models lists it. The fields from `context_length` on are our own."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["lilliput"] = "lilliput"
    context_length: int
    parameters: int
    generates: bool
    world: World | None
    reads_forwards: bool
    fills_middle: bool
    reads_source: bool
    chat: bool
    tools: bool


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Tokens(BaseModel):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = LEFT_OUT


class Detokenized(BaseModel):
    prompt: str


class Share(BaseModel):
    """A part of the model, and its share of a difference of two logits. `layer` and `index` count from 0."""

    kind: Literal["head", "mlp", "neuron", "other"]
    name: str
    layer: int | None = None
    index: int | None = None
    share: float


class Attributed(BaseModel):
    """Why the model gave `token` a larger logit than `against`: `parts` and `rest` add up to `difference`. `neurons`
    are shares of the MLPs' shares. All are direct effects on this token."""

    model: str
    token: TopToken
    against: TopToken
    difference: float
    parts: list[Share]
    rest: float
    neurons: list[Share]


class Problem(BaseModel):
    message: str
    type: Literal["invalid_request_error", "authentication_error", "rate_limit_error", "server_error"]
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The form of every error, the same as OpenAI's."""

    error: Problem
