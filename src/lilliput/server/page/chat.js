// Chat: a conversation with a model that was trained for it. Calls of the server's own tools are run by the server.

import { get, send, stream } from "./api.js";
import { element } from "./story.js";

const at = (id) => document.getElementById(id);
const ROUNDS = 4; // times that tools are run for one message
let models = [];
let tools = [];
let conversation = [];
let control = null;

const offered = () => (at("use-tools").checked && !at("tools-field").hidden ? tools : []);

/** One message of the assistant, shown as it comes. Its calls are returned. */
async function message(signal) {
  const shown = at("messages").appendChild(element("div", "message assistant"));
  const body = { model: at("chat-model").value, messages: conversation, temperature: 0.8 };
  if (offered().length) body.tools = offered();
  const calls = [];
  try {
    for await (const chunk of stream("/v1/chat/completions", body, signal)) {
      const { content, tool_calls } = chunk.choices[0].delta;
      shown.textContent += content ?? "";
      for (const { id, type, function: called } of tool_calls ?? []) calls.push({ id, type, function: called });
    }
  } catch (error) {
    if (error.name !== "AbortError") shown.append(element("span", "error", error.message));
  }
  const said = { role: "assistant", content: shown.textContent };
  conversation.push(calls.length ? { ...said, tool_calls: calls } : said);
  if (calls.length && !shown.textContent) shown.remove();
  return calls;
}

/** Run a call, and show it with its answer. */
async function run(call, signal) {
  const { name } = call.function;
  const body = { arguments: JSON.parse(call.function.arguments) };
  const { content } = await (await send(`/tools/${encodeURIComponent(name)}`, body, signal)).json();
  conversation.push({ role: "tool", tool_call_id: call.id, name, content });
  at("messages").append(element("div", "message tool", `${name} ${call.function.arguments} = ${content}`));
}

async function answer() {
  control = new AbortController();
  const { signal } = control;
  busy(true);
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      const calls = await message(signal);
      if (!calls.length || round === ROUNDS || signal.aborted) break;
      for (const call of calls) await run(call, signal);
    }
  } catch (error) {
    if (error.name !== "AbortError") at("messages").append(element("span", "error", error.message));
  }
  busy(false);
}

function busy(on) {
  at("hush").hidden = !on;
  at("send").disabled = on;
  at("retry").disabled = on || conversation.length === 0;
}

/** Drop everything behind the last message of the user. */
function back() {
  while (conversation.length && conversation.at(-1).role !== "user") conversation.pop();
  while (at("messages").lastElementChild && !at("messages").lastElementChild.classList.contains("user")) {
    at("messages").lastElementChild.remove();
  }
}

function fit() {
  const model = models.find((one) => one.id === at("chat-model").value);
  at("tools-field").hidden = !tools.length || !model?.tools;
}

export async function start(chatting) {
  models = chatting;
  at("chat-model").replaceChildren(...models.map((model) => new Option(model.id)));
  at("chat-model").addEventListener("change", fit);
  at("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    const content = at("message").value;
    conversation.push({ role: "user", content });
    at("messages").append(element("div", "message user", content));
    at("message").value = "";
    answer();
  });
  at("retry").addEventListener("click", () => {
    back();
    answer();
  });
  at("clear").addEventListener("click", () => {
    control?.abort();
    conversation = [];
    at("messages").replaceChildren();
    at("retry").disabled = true;
    at("message").focus();
  });
  at("hush").addEventListener("click", () => control.abort());
  tools = (await get("/tools")).data;
  at("tool-names").textContent = `Tools: ${tools.map((tool) => tool.function.name).join(", ")}`;
  fit();
}
