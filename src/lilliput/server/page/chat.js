// Chat: a conversation with a model that was trained for it.

import { stream } from "./api.js";
import { element } from "./story.js";

const at = (id) => document.getElementById(id);
let conversation = [];
let control = null;

async function answer() {
  control = new AbortController();
  const { signal } = control;
  const shown = at("messages").appendChild(element("div", "message assistant"));
  const body = { model: at("chat-model").value, messages: conversation, temperature: 0.8 };
  busy(true);
  try {
    for await (const chunk of stream("/v1/chat/completions", body, signal)) {
      shown.textContent += chunk.choices[0].delta.content;
    }
  } catch (error) {
    if (error.name !== "AbortError") shown.append(element("span", "error", error.message));
  }
  conversation.push({ role: "assistant", content: shown.textContent });
  busy(false);
}

function busy(on) {
  at("hush").hidden = !on;
  at("send").disabled = on;
  at("retry").disabled = on || conversation.length === 0;
}

export function start(models) {
  at("chat-model").replaceChildren(...models.map((model) => new Option(model.id)));
  at("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    const content = at("message").value;
    conversation.push({ role: "user", content });
    at("messages").append(element("div", "message user", content));
    at("message").value = "";
    answer();
  });
  at("retry").addEventListener("click", () => {
    conversation.pop();
    at("messages").lastElementChild.remove();
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
}
