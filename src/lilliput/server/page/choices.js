// The small card beside a token: how likely it was, which tokens were likely in its place, and a way to branch.

import { bits, element, percent } from "./story.js";

const card = document.getElementById("choices");
const HIDE_AFTER = 250; // ms: time to move the pointer from the token to the card
let hiding = 0;
let shown = null;

/** Show what else the tokens of `piece` might have been; with `stay` the keyboard goes into the card. */
export function open(piece, story, stay) {
  clearTimeout(hiding);
  if (shown?.piece !== piece) {
    shown?.piece.mark.classList.remove("open");
    shown = { piece, story };
    piece.mark.classList.add("open");
    card.replaceChildren(...piece.tokens.flatMap((token) => group(piece, token, story)));
    card.hidden = false;
    place(piece.mark);
  }
  if (stay) card.querySelector("button:not(:disabled)")?.focus();
}

/** Hide the card: soon, unless pointer or keyboard are in it, or at once. */
export function close(now) {
  clearTimeout(hiding);
  if (now) hide();
  else hiding = setTimeout(() => card.matches(":hover") || card.contains(document.activeElement) || hide(), HIDE_AFTER);
}

function hide() {
  shown?.piece.mark.classList.remove("open");
  shown = null;
  card.hidden = true;
}

function group(piece, token, story) {
  const head = element("p");
  head.append(element("b", "", spelled(token.text)), ` ${bits(token.logprob).toFixed(1)} bits of surprise`);
  const listed = token.others.some((other) => other.id === token.id);
  const all = listed ? token.others : [...token.others, { id: token.id, token: token.text, logprob: token.logprob }];
  return [head, ...all.map((other) => choice(piece, token, other, story))];
}

function choice(piece, token, other, story) {
  const button = element("button", other.id === token.id ? "choice generated" : "choice");
  button.type = "button";
  button.disabled = other.id === token.id;
  button.style.setProperty("--share", Math.exp(other.logprob).toFixed(4));
  button.append(element("span", "", spelled(other.token)), element("span", "", percent(other.logprob)));
  button.title = button.disabled ? "the token that was generated" : "continue from here with this token";
  button.addEventListener("click", () => {
    story.flow.focus();
    const continued = story.branch(piece, token, other.id);
    document.dispatchEvent(new CustomEvent("branch", { detail: continued }));
  });
  return button;
}

/** A token as one can see it: spaces and line breaks by signs. */
function spelled(text) {
  return text.replace(/^ | $/g, "\u00b7").replaceAll("\n", "\u21b5");
}

function place(mark) {
  const box = mark.getClientRects()[0] ?? mark.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - card.offsetWidth - 12);
  const below = box.bottom + 6 + card.offsetHeight < innerHeight;
  if (getComputedStyle(card).position === "fixed") {
    scrollBy(0, Math.max(0, box.bottom + 12 - card.getBoundingClientRect().top)); // at the foot of a phone
    return;
  }
  card.style.left = `${Math.max(12, left) + scrollX}px`;
  card.style.top = `${(below ? box.bottom + 6 : Math.max(6, box.top - card.offsetHeight - 6)) + scrollY}px`;
}

card.addEventListener("pointerenter", () => clearTimeout(hiding));
card.addEventListener("pointerleave", () => close());
card.addEventListener("focusout", () => close());
card.addEventListener("keydown", (event) => {
  const buttons = [...card.querySelectorAll("button:not(:disabled)")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    buttons.at((buttons.indexOf(document.activeElement) + step) % buttons.length).focus();
  } else if (event.key === "Escape") {
    event.stopPropagation();
    shown.story.flow.focus();
    close(true);
  }
});
document.addEventListener("pointerdown", (event) => {
  if (!card.contains(event.target) && !event.target.closest?.(".token")) {
    close(true);
  }
});
