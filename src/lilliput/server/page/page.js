// The page: its views, what a story is asked for, and the keys.

import { get } from "./api.js";
import * as chat from "./chat.js";
import { close, open } from "./choices.js";
import { copy } from "./copying.js";
import * as extract from "./extract.js";
import * as inside from "./inside.js";
import * as people from "./people.js";
import * as runs from "./runs.js";
import { element, Story } from "./story.js";
import * as tables from "./tables.js";

const at = (id) => document.getElementById(id);
let models = [];
let stories = [];

// ---- asking

const named = (id) => models.find((model) => model.id === id);
const wanted = () => [at("model").value, at("beside").value].filter(Boolean).map(named);

function asked() {
  return {
    opening: at("opening").value,
    ending: at("ending").value,
    temperature: at("temperature").valueAsNumber,
    seed: at("seed").valueAsNumber,
    max_tokens: at("tokens").valueAsNumber,
  };
}

/** Show the fields that the chosen models read from. */
function fit() {
  at("opening-field").hidden = !wanted().some((model) => model.reads_forwards);
  at("ending-field").hidden = wanted().every((model) => model.reads_forwards);
}

/** Show what else a token might have been; where it was chosen, and not pointed at alone, also which parts wrote it. */
function look(piece, story, stay) {
  open(piece, story, stay);
  if (stay) inside.explain(piece, story);
}

function begun(model) {
  return Object.assign(new Story(model, look, close), { off: inside.offOf(model) });
}

async function generate() {
  if (!at("ask").reportValidity()) return;
  stories.forEach((story) => story.stop());
  stories = wanted().map(begun);
  inside.follow(stories);
  at("stories").replaceChildren(...stories.map((story) => story.article));
  widen();
  at("hint").hidden = false;
  at("again").disabled = false;
  await watch(stories.map((story) => story.generate(asked())));
}

/** Offer to stop while texts are generated, and to undo where they have branched. */
async function watch(running) {
  refresh();
  await Promise.all(running);
  refresh();
}

function refresh() {
  at("stop").hidden = !stories.some((story) => story.control);
  at("undo").hidden = !stories.some((story) => story.branches.length);
}

/** Two stories take more of a wide screen. */
function widen() {
  document.body.classList.toggle("pair", stories.length > 1 && !at("read").hidden);
}

function copyCommand() {
  const story = stories[0] ?? begun(wanted()[0]);
  copy("/v1/completions", story.request(asked()), "generates the same text");
}

// ---- views

const tabs = [...document.querySelectorAll("[role=tab]")];

function view(name) {
  for (const tab of tabs) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    at(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  widen();
  if (name === "runs") runs.start();
  else runs.stop();
  history.replaceState(null, "", `#${name}`);
}

function walkTabs(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const shown = tabs.filter((tab) => !tab.hidden);
  const next = shown.at((shown.indexOf(event.target) + step) % shown.length);
  next.focus();
  next.click();
}

// ---- start

function listen() {
  for (const tab of tabs) {
    tab.addEventListener("click", () => view(tab.id.replace("tab-", "")));
    tab.addEventListener("keydown", walkTabs);
  }
  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    generate();
  });
  at("again").addEventListener("click", () => {
    at("seed").stepUp();
    generate();
  });
  at("stop").addEventListener("click", () => stories.forEach((story) => story.control?.abort()));
  at("undo").addEventListener("click", () => watch(stories.filter((s) => s.branches.length).map((s) => s.undo())));
  at("curl").addEventListener("click", copyCommand);
  at("model").addEventListener("change", fit);
  at("beside").addEventListener("change", fit);
  at("temperature").addEventListener("input", () => (at("warmth").value = at("temperature").valueAsNumber));
  at("heat").addEventListener("change", () => at("stories").classList.toggle("coloured", at("heat").checked));
  document.addEventListener("branch", (event) => watch([event.detail]));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") [at("stop"), at("hush")].find((button) => !button.hidden)?.click();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form?.requestSubmit();
  });
}

async function begin() {
  listen();
  at("stories").classList.add("coloured");
  try {
    models = (await get("/v1/models")).data;
  } catch (error) {
    at("stories").replaceChildren(element("p", "error", error.message));
    return;
  }
  const world = (name) => models.filter((model) => model.world === name);
  people.start(world("people"));
  tables.start(world("table"));
  extract.start(world("extraction"));
  models = models.filter((model) => model.generates);
  at("tab-read").hidden = models.length === 0;
  at("model").replaceChildren(...models.map((model) => new Option(model.id)));
  at("beside").append(...models.map((model) => new Option(model.id)));
  at("beside-field").hidden = models.length < 2;
  // As far as a text goes: most end by themselves before the context is full.
  at("tokens").max = Math.max(1, ...models.map((model) => model.context_length));
  at("tokens").value = at("tokens").max;
  const chatting = models.filter((model) => model.chat);
  at("tab-chat").hidden = chatting.length === 0;
  if (chatting.length) chat.start(chatting);
  if (models.length) fit();
  const asked = location.hash.slice(1);
  const shown = tabs.filter((tab) => !tab.hidden).map((tab) => tab.id.replace("tab-", ""));
  view(shown.includes(asked) ? asked : models.length ? "read" : shown.includes("tables") ? "tables" : shown[0]);
}

begin();
