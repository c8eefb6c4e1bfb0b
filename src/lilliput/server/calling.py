"""Calling: tools in chats, as OpenAI's API has them; and the server's own tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from lilliput.base.errors import nearest
from lilliput.generation.tools import TOOLS, Call, CallReader, run
from lilliput.server import answers
from lilliput.server.errors import Refused
from lilliput.server.schemas import (
    AnswerCall,
    AnswerFunction,
    ChatRequest,
    FinishReason,
    Message,
    ToolAnswer,
    ToolArguments,
    ToolList,
)
from lilliput.server.text_stream import Piece

if TYPE_CHECKING:
    from lilliput.server.served import Served


def router() -> APIRouter:
    """Return the routes of the server's own tools. A client may run its calls here."""
    routes = APIRouter()

    @routes.get("/tools")
    def tools() -> ToolList:
        return ToolList(data=[dict(tool.description) for tool in TOOLS.values()])

    @routes.post("/tools/{name}")
    def run_tool(name: str, body: ToolArguments) -> ToolAnswer:
        if name not in TOOLS:
            raise HTTPException(
                404, f"there is no tool '{name}' here{nearest(name, TOOLS)}; there is: {', '.join(TOOLS)}"
            )
        return ToolAnswer(content=run(Call(name, body.arguments), list(TOOLS)))

    return routes


def offered(served: Served, body: ChatRequest) -> list[dict[str, Any]]:
    """Return the request's tools as templates take them; none where `tool_choice` is "none". Raises Refused for tools
    that the model's template does not take, and for fields that cannot be had beside tools."""
    if not calls_tools(body):
        return []
    assert body.tools is not None
    assert served.chat is not None
    if not served.chat.takes_tools:
        raise Refused(f"the chat template of '{served.name}' has no place for tools", "leave them out", param="tools")
    if body.response_format is not None and body.response_format.type != "text":
        message = "tools and a response_format cannot be had together: a call is not JSON of that form"
        raise Refused(message, "leave one of them out", param="response_format")
    if body.logprobs:
        raise Refused("logprobs are not supported beside tools", "leave one of them out", param="logprobs")
    return [tool.model_dump(exclude_none=True) for tool in body.tools]


def calls_tools(body: ChatRequest) -> bool:
    """Whether the answer may hold calls."""
    return bool(body.tools) and body.tool_choice != "none"


def plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return messages as templates expect them: a content as one text, the role 'developer' as 'system', and the
    arguments of calls as objects. Raises Refused for a message whose fields do not fit its role."""
    return [_plain(message, f"messages[{place}]") for place, message in enumerate(messages)]


def _plain(message: Message, place: str) -> dict[str, Any]:
    _check(message, place)
    content = message.content
    text = content if isinstance(content, str) else "".join(part.text for part in content or ())
    made: dict[str, Any] = {"role": "system" if message.role == "developer" else message.role, "content": text}
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": arguments}}
            for number, call in enumerate(message.tool_calls)
            for arguments in [_arguments(call.function.arguments, f"{place}.tool_calls[{number}].function.arguments")]
        ]
    further = {"name": message.name, "tool_call_id": message.tool_call_id}
    return made | {key: value for key, value in further.items() if value is not None}


def _check(message: Message, place: str) -> None:
    """Raise Refused for a field that a message of this role lacks or cannot have."""
    role = message.role
    if message.tool_calls and role != "assistant":
        raise Refused(f"a message of the role {role} has no tool_calls", param=f"{place}.tool_calls")
    if message.content is None and not message.tool_calls:
        raise Refused(f"a message of the role {role} lacks its content", param=f"{place}.content")
    if (role == "tool") != (message.tool_call_id is not None):
        raise Refused("a message of the role tool, and no other, has a tool_call_id", param=f"{place}.tool_call_id")
    if message.name is not None and role != "tool":
        raise Refused("name is not supported: only a message of the role tool has it", param=f"{place}.name")


def _arguments(text: str, param: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused("the arguments of a call are no JSON object", param=param)
    return value


class Reply:
    """One answer while it comes: its text and its calls. Without tools all of it is text."""

    def __init__(self, tools: bool, parallel: bool = True):
        self._reader = CallReader() if tools else None
        self._parallel = parallel
        self._calls = 0

    def take(self, piece: Piece) -> tuple[str, list[AnswerCall]]:
        """Return the text that is safe to send, and the calls that have ended, with this piece."""
        if self._reader is None:
            return piece.text, []
        text, found = self._reader.push(piece.text)
        text += self._reader.flush() if piece.finish else ""
        made = []
        for call in found:
            if self._parallel or not self._calls:
                made.append(_answer(call, self._calls))
                self._calls += 1
        return text, made

    def finish_reason(self, piece: Piece) -> FinishReason | None:
        """Return the reason in OpenAI's words: `tool_calls` where an answer that ended by itself holds calls."""
        reason = answers.finish_reason(piece)
        return "tool_calls" if reason == "stop" and self._calls else reason


def reply(body: ChatRequest) -> Reply:
    """Return a Reply for an answer to the request."""
    return Reply(calls_tools(body), body.parallel_tool_calls is not False)


def _answer(call: Call, index: int) -> AnswerCall:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    function = AnswerFunction(name=call.name, arguments=arguments)
    return AnswerCall(index=index, id=answers.identifier("call"), function=function)
