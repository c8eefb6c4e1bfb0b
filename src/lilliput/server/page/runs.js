// Runs in training, as they stand: progress, the loss curve, and the newest samples.

import { get } from "./api.js";
import { element } from "./story.js";
import { compact, label, shape, ticks } from "./svg.js";

const EVERY = 2000; // ms
const list = document.getElementById("run-list");
const view = document.getElementById("run");
let chosen = null;
let timer = 0;

/** Show the runs and keep them fresh, until `stop`. */
export async function start() {
  clearTimeout(timer);
  try {
    const { runs, unread } = await get("/runs");
    if (!runs.some((run) => run.name === chosen)) chosen = runs[0]?.name ?? null;
    drawList(runs, unread);
    if (chosen) draw(await get(`/runs/${encodeURIComponent(chosen)}`));
    else view.replaceChildren(element("p", "empty", "No run has begun in the folder runs/. Start one: lilliput train story"));
  } catch (error) {
    view.replaceChildren(element("p", "error", error.message));
  }
  timer = setTimeout(start, EVERY);
}

export function stop() {
  clearTimeout(timer);
}

function drawList(runs, unread) {
  const focused = document.activeElement?.dataset?.run;
  list.replaceChildren(
    ...runs.map((run) => {
      const button = element("button");
      button.type = "button";
      button.dataset.run = run.name;
      button.setAttribute("aria-pressed", run.name === chosen);
      button.append(element("span", `dot ${run.state}`), run.name);
      button.title = run.state;
      button.addEventListener("click", () => {
        chosen = run.name;
        start();
      });
      return button;
    }),
    ...unread.map(({ name, reason }) => element("p", "error", `${name} cannot be read: ${reason}`)),
  );
  if (focused) list.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
}

function draw(run) {
  const facts = element("dl", "facts");
  const { unit, value } = run.figure;
  const rows = {
    [unit]: value === null ? "\u2013" : value.toFixed(3),
    [run.state === "running" && run.eta !== null ? "left" : "state"]:
      run.state === "running" && run.eta !== null ? duration(run.eta) : run.state,
    step: run.step.toLocaleString("en"),
    tokens: compact(run.tokens),
    "tokens a second": run.tokens_per_second === null ? "\u2013" : compact(run.tokens_per_second),
    trained: duration(run.seconds),
  };
  for (const [name, value] of Object.entries(rows)) {
    const pair = element("div");
    pair.append(element("dt", "", name), element("dd", "", value));
    facts.append(pair);
  }
  const parts = [facts];
  if (run.fraction !== null) {
    const bar = element("progress");
    Object.assign(bar, { max: 1, value: run.fraction });
    bar.setAttribute("aria-label", `${Math.round(100 * run.fraction)}% of the run`);
    parts.push(bar);
  }
  parts.push(curve(run));
  if (run.heads.length) parts.push(...heads(run));
  if (run.samples.length) parts.push(element("h2", "", `Samples at step ${run.samples_step.toLocaleString("en")}`));
  for (const sample of run.samples) {
    const shown = element("p", "sample", sample.before);
    shown.append(element("b", "", sample.prompt), sample.text);
    parts.push(shown);
  }
  view.replaceChildren(...parts);
}

/** Training and validation loss against steps, on a scale that the last three quarters fill. */
function curve(run) {
  const width = Math.max(300, view.clientWidth);
  const [height, left, bottom, top] = [Math.round(180 + width / 8), 46, 34, 16];
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img" });
  svg.setAttribute("aria-label", `Loss of ${run.name} in ${run.figure.unit} against steps`);
  const all = [...run.training, ...run.validation];
  if (!all.length) return element("p", "empty", "No loss yet.");
  const last = Math.max(...all.map(([step]) => step), 1);
  const settled = all.filter(([step]) => step >= last * 0.02).map(([, loss]) => loss);
  const low = Math.min(...settled);
  const high = Math.max(...settled, low + 1e-3);
  const x = (step) => left + (step / last) * (width - left - 18);
  const y = (loss) => height - bottom - ((Math.min(loss, high) - low) / (high - low)) * (height - bottom - top);
  for (const loss of ticks(low, high, 5)) {
    svg.append(shape("line", { class: "grid", x1: left, x2: width - 18, y1: y(loss), y2: y(loss) }));
    svg.append(label(left - 8, y(loss) + 4, "end", +loss.toFixed(3)));
  }
  for (const step of ticks(0, last, width / 120)) svg.append(label(x(step), height - 12, "middle", compact(step)));
  const path = (points) => points.map(([step, loss], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`).join("");
  svg.append(shape("path", { class: "training", d: path(run.training) }));
  svg.append(shape("path", { class: "validation", d: path(run.validation) }));
  for (const [step, loss] of run.validation.slice(-1)) svg.append(shape("circle", { cx: x(step), cy: y(loss), r: 4.5 }));
  svg.append(label(width - 20, top + 12, "end", `${run.figure.unit}; thin: training`));
  return svg;
}

/** The strongest head of each kind through a watched run, each a line from 0 to 1. */
function heads(run) {
  const made = element("div", "heads");
  for (const { kind, head, points } of run.heads) {
    const row = element("figure");
    const [width, height, left, edge] = [300, 90, 24, 16];
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img" });
    const value = points.at(-1)[1];
    svg.setAttribute("aria-label", `Head ${head} ${kind}: ${value.toFixed(2)} at step ${points.at(-1)[0]}`);
    const last = Math.max(points.at(-1)[0], 1);
    const y = (score) => height - edge - Math.max(0, score) * (height - 2 * edge);
    const place = ([step, score]) => `${(left + (step / last) * (width - left - 8)).toFixed(1)} ${y(score).toFixed(1)}`;
    for (const share of [0, 1]) {
      svg.append(shape("line", { class: "grid", x1: left, x2: width - 8, y1: y(share), y2: y(share) }));
      svg.append(label(left - 6, y(share) + 4, "end", share));
    }
    svg.append(shape("path", { class: "validation", d: points.map((point, i) => `${i ? "L" : "M"}${place(point)}`).join("") }));
    row.append(svg, element("figcaption", "", `Head ${head} ${kind}: ${value.toFixed(2)}`));
    made.append(row);
  }
  const words = "The share of attention, from 0 to 1, of the strongest head of each kind over the steps. The control of the induction head is the same measurement on shuffled tokens.";
  return [element("h2", "", "What its heads look at"), element("p", "hint", words), made];
}

function duration(seconds) {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours) return `${hours}h ${minutes}m`;
  return minutes ? `${minutes}m ${whole % 60}s` : `${whole}s`;
}
