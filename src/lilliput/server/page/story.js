// Story: one text as a model tells it, token by token, each coloured by how surprising it was.

import { stream } from "./api.js";

const ALTERNATIVES = 6;
const FULL_HEAT = 9; // bits: a token of one chance in 500 is as warm as it gets

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export const bits = (logprob) => -logprob / Math.LN2;

export function percent(logprob) {
  const share = 100 * Math.exp(logprob);
  return share >= 99.95 ? "100%" : share >= 0.1 ? `${share.toFixed(1)}%` : "<0.1%";
}

/** A span for a piece of text, coloured but for the space before a word; a sign where the text ends. */
function marked(text, ends) {
  const mark = element("span", "token");
  const [, space, ink] = /^( *)([^]*)$/.exec(text);
  if (ink && space) mark.append(space);
  mark.append(element("span", "ink", ink || space));
  if (!text && ends) {
    mark.classList.add("end");
    mark.firstChild.textContent = "\u25c6";
  }
  return mark;
}

export class Story {
  /** `model` as /v1/models lists it; `open(piece, story)` and `close()` show what else a token might have been. */
  constructor(model, open, close) {
    this.model = model;
    this.open = open;
    this.close = close;
    this.branches = []; // the forced ids of each branch, newest last
    this.article = element("article", model.reads_forwards ? "story" : "story backwards");
    this.flow = this.article.appendChild(element("div", "flow"));
    this.flow.tabIndex = 0;
    this.flow.setAttribute("role", "group");
    this.flow.setAttribute("aria-label", `Told by ${model.id}; walk through the tokens with the arrow keys`);
    this.status = this.article.appendChild(element("div", "status"));
    this.status.setAttribute("role", "status");
    this.flow.addEventListener("keydown", (event) => this.walk(event));
    this.flow.addEventListener("pointerover", (event) => {
      if (event.pointerType === "mouse") this.show(this.pieceOf(event.target));
    });
    this.flow.addEventListener("pointerout", () => this.close());
    this.flow.addEventListener("click", (event) => this.show(this.pieceOf(event.target), true));
  }

  /** What the model is asked, as /v1/completions takes it. */
  request({ opening, ending, ...settings }) {
    const side = this.model.reads_forwards ? { prompt: opening } : { ending };
    const forced = this.branches.length ? { forced_token_ids: this.branches.at(-1) } : {};
    return { model: this.model.id, ...side, ...settings, ...forced };
  }

  async tell(asked) {
    this.stop();
    const control = (this.control = new AbortController());
    const began = performance.now();
    this.asked = asked;
    this.pieces = [];
    this.here = -1;
    const given = this.model.reads_forwards ? asked.opening : asked.ending;
    this.flow.replaceChildren(element("span", "given", given));
    this.article.classList.add("telling");
    let finish = "";
    const body = { ...this.request(asked), logprobs: ALTERNATIVES, return_token_ids: true };
    try {
      for await (const chunk of stream("/v1/completions", body, control.signal)) {
        finish = this.add(chunk.choices[0]) ?? finish;
        this.report((performance.now() - began) / 1000);
      }
      this.report((performance.now() - began) / 1000, finish === "length" ? "cut off by its length" : "ended by itself");
    } catch (error) {
      if (control !== this.control) return; // another telling has begun
      if (error.name === "AbortError") this.report((performance.now() - began) / 1000, "stopped");
      else this.status.replaceChildren(element("span", "error", error.message));
    }
    this.article.classList.remove("telling");
    this.control = null;
  }

  stop() {
    this.control?.abort();
    this.control = null;
  }

  /** A chunk of the stream: usually one token; the bytes of one character, or the tokens of one word, come together. */
  add(choice) {
    const tokens = choice.logprobs.tokens.map((text, i) => ({
      text,
      id: choice.token_ids[i],
      logprob: choice.logprobs.token_logprobs[i],
      others: choice.logprobs.top_tokens[i],
    }));
    if (!choice.text && !tokens.length) return choice.finish_reason;
    const piece = { text: choice.text, tokens, before: this.pieces.reduce((sum, one) => sum + one.tokens.length, 0) };
    const logprob = tokens.reduce((sum, token) => sum + token.logprob, 0);
    const ends = choice.finish_reason === "stop" && tokens.length > 0;
    piece.mark = marked(choice.text, ends);
    piece.mark.style.setProperty("--heat", Math.min(1, bits(logprob) / FULL_HEAT).toFixed(3));
    const forced = this.branches.at(-1)?.length ?? 0;
    if (forced && piece.before < forced && piece.before + tokens.length >= forced) piece.mark.classList.add("branch");
    piece.mark.piece = piece;
    this.pieces.push(piece);
    if (this.model.reads_forwards) this.flow.append(piece.mark);
    else this.flow.prepend(piece.mark);
    return choice.finish_reason;
  }

  report(seconds, ending) {
    const tokens = this.pieces.flatMap((piece) => piece.tokens);
    const mean = tokens.reduce((sum, token) => sum + bits(token.logprob), 0) / Math.max(1, tokens.length);
    const facts = [`${tokens.length} tokens`, `${mean.toFixed(2)} bits a token`, `${seconds.toFixed(1)} s`, ending];
    const shown = facts.filter(Boolean).map((fact) => element("span", "", fact));
    this.status.replaceChildren(element("b", "", this.model.id), ...shown);
  }

  /** Tell again from the start to `token` of `piece`, then `id` in its place, and from there on anew. */
  branch(piece, token, id) {
    const kept = this.pieces.flatMap((one) => one.tokens.map((each) => each.id));
    this.branches.push([...kept.slice(0, piece.before + piece.tokens.indexOf(token)), id]);
    this.close(true);
    return this.tell(this.asked);
  }

  undo() {
    this.branches.pop();
    return this.tell(this.asked);
  }

  // ---- looking at tokens

  pieceOf(target) {
    return target.closest(".token")?.piece;
  }

  show(piece, stay) {
    if (piece?.tokens.length) this.open(piece, this, stay);
  }

  /** Arrow keys walk in reading order; Enter shows the alternatives. */
  walk(event) {
    const marks = [...this.flow.querySelectorAll(".token")];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" && marks[this.here]) this.show(marks[this.here].piece, true);
    else if (event.key === "Home") this.here = 0;
    else if (event.key === "End") this.here = marks.length - 1;
    else if (step) this.here = Math.max(0, Math.min(marks.length - 1, this.here + step));
    else return;
    event.preventDefault();
    if (event.key !== "Enter" && marks[this.here]) {
      marks[this.here].scrollIntoView({ block: "nearest" });
      this.show(marks[this.here].piece);
    }
  }
}
