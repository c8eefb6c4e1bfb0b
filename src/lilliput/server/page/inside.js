// Inside: the parts of the model that wrote a token, and switches that turn parts off for the next text.

import { send } from "./api.js";
import { element } from "./story.js";

const view = document.getElementById("inside");
const off = new Map(); // parts that are off, by the model's name
let asked = 0; // explanations so far, so that a late answer does not replace a newer one
let shown = null; // the story, the explanation, and the text of the story with all parts on

export const offOf = (model) => off.get(model.id) ?? [];

/** Show the parts that wrote the first token of `piece`. */
export async function explain(piece, story) {
  const number = ++asked;
  const ids = story.pieces.flatMap((one) => one.tokens.map((token) => token.id));
  const before = story.promptIds;
  const body = { model: story.model.id, token_ids: [...before, ...ids], position: before.length + piece.before };
  if (body.position < 1) return;
  try {
    const found = await (await send("/lens/attribution", body)).json();
    if (number !== asked) return;
    shown = { story, found, whole: shown?.story === story ? shown.whole : null };
    draw();
  } catch (error) {
    if (number === asked) view.replaceChildren(element("p", "error", error.message));
  }
  view.hidden = false;
}

/** New stories take the place of the old ones. Where parts are off, their switches stay at hand for the new story. */
export function follow(stories) {
  asked += 1;
  const next = shown && stories.find((story) => story.model.id === shown.story.model.id);
  if (next && offOf(next.model).length) {
    shown = { ...shown, story: next, whole: null };
    draw();
  } else {
    shown = null;
    view.hidden = true;
  }
}

const quoted = (text) => `\u201c${text.replaceAll("\n", "\u21b5")}\u201d`;
const signed = (share) => `${share < 0 ? "\u2212" : "+"}${Math.abs(share).toFixed(2)}`;

function draw() {
  const { story, found, whole } = shown;
  const title = element("h2", "", `Which parts wrote ${quoted(found.token.token)}?`);
  const note = element(
    "p",
    "quiet",
    `The score (logit) of ${quoted(found.token.token)} less the score of ${quoted(found.against.token)} is ` +
      `${signed(found.difference)}. The difference is the sum of the parts (direct logit attribution). Turn a part off ` +
      "to see the text without it.",
  );
  const parts = [...found.parts, { kind: "other", name: "all other parts", share: found.rest }];
  const columns = element("div", "columns");
  columns.append(table("Parts", parts), table("Neurons of the MLPs", found.neurons));
  const list = offOf(story.model);
  const switched = element("p", "off");
  if (list.length) switched.append("Off now: ", ...list.map(chip));
  const all = [title, note, columns, switched];
  if (list.length && whole !== null) {
    const kept = element("details");
    kept.append(element("summary", "", "The text with all parts on"), element("p", "sample", whole));
    all.push(kept);
  }
  view.replaceChildren(...all);
}

function table(caption, shares) {
  const made = element("table", "shares");
  made.append(element("caption", "", caption));
  const most = Math.max(...shares.map((part) => Math.abs(part.share)), 1e-9);
  for (const part of shares) {
    const row = made.insertRow();
    const head = element("th", "", part.name);
    head.scope = "row";
    const bar = element("span", part.share < 0 ? "bar against" : "bar");
    bar.style.setProperty("--share", (Math.abs(part.share) / most).toFixed(3));
    row.append(head);
    row.insertCell().append(bar);
    row.insertCell().textContent = signed(part.share);
    const cell = row.insertCell();
    if (part.kind === "head" || part.kind === "neuron") cell.append(toggle(part));
  }
  return made;
}

const asPart = ({ kind, layer, index }) => ({ layer, [kind]: index });
const same = (one, other) => one.layer === other.layer && one.head === other.head && one.neuron === other.neuron;
const named = (part) => (part.head === undefined ? `neuron ${part.layer}.${part.neuron}` : `head ${part.layer}.${part.head}`);

function toggle(part) {
  const wanted = asPart(part);
  const isOff = offOf(shown.story.model).some((one) => same(one, wanted));
  const button = element("button", isOff ? "is-off" : "", isOff ? "Turn on" : "Turn off");
  button.type = "button";
  button.setAttribute("aria-label", `${button.textContent} ${part.name}`);
  button.dataset.part = part.name;
  button.addEventListener("click", () => flip(wanted, part.name));
  return button;
}

function chip(part) {
  const button = element("button", "chip", `${named(part)} \u00d7`);
  button.type = "button";
  button.title = "turn it on again";
  button.addEventListener("click", () => flip(part, named(part)));
  return button;
}

/** Turn a part off or on, and generate the text again with the same seed. */
function flip(part, name) {
  const { story } = shown;
  const list = offOf(story.model);
  const left = list.filter((one) => !same(one, part));
  if (!list.length) shown.whole = story.flow.textContent;
  off.set(story.model.id, left.length < list.length ? left : [...list, part]);
  story.off = offOf(story.model);
  draw();
  view.querySelector(`button[data-part="${CSS.escape(name)}"]`)?.focus();
  document.dispatchEvent(new CustomEvent("branch", { detail: story.generate(story.asked) }));
}
