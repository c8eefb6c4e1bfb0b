// What the views of people, tables and templates have in common: a request, its answer or error, tables.

import { send } from "./api.js";
import { element } from "./story.js";

const waiting = new Map(); // the request under way, by the place of its answer

/** Send a request, and show what `draw` makes of the answer, or the error. A newer request takes the place of an older
 * one. */
export async function make(place, path, body, draw) {
  waiting.get(place)?.abort();
  const control = new AbortController();
  waiting.set(place, control);
  place.replaceChildren(element("p", "empty", "Working\u2026"));
  try {
    const found = await (await send(path, body, control.signal)).json();
    place.replaceChildren(...draw(found));
  } catch (error) {
    if (error.name !== "AbortError") place.replaceChildren(element("p", "error", error.message));
  }
}

/** A table; numbers stand to the right. */
export function table(caption, head, rows) {
  const made = element("table", "rows");
  made.append(element("caption", "", caption));
  const top = made.createTHead().insertRow();
  for (const name of head) top.append(Object.assign(element("th", "", name), { scope: "col" }));
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const value of row) {
      const cell = line.insertCell();
      cell.textContent = value ?? "";
      if (/^[-+\u2212]?[0-9.,]+%?$/.test(value ?? "")) cell.className = "number";
    }
  }
  const frame = element("div", "scroll");
  frame.tabIndex = 0;
  frame.append(made);
  return frame;
}

/** Whole numbers of the fields, by name. */
export const numbers = (fields) =>
  Object.fromEntries(Object.entries(fields).map(([name, id]) => [name, document.getElementById(id).valueAsNumber]));
