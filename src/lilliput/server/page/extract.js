// Extract: a template that is filled from a text, with each value marked where it stands in the text.

import { copy } from "./copying.js";
import { make, table } from "./making.js";
import { element } from "./story.js";

const at = (id) => document.getElementById(id);

export function start(models) {
  at("tab-extract").hidden = models.length === 0;
  at("extract-model").append(...models.map((model) => new Option(model.id)));
  at("extract-template").addEventListener("input", () => at("extract-template").setCustomValidity(""));
  at("extract-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const body = request();
    if (body) make(at("extract-made"), "/worlds/extract", body, (found) => draw(body.texts[0], found.texts[0]));
  });
  at("extract-curl").addEventListener("click", () => {
    const body = request();
    if (body) copy("/worlds/extract", body, "fills the same template");
  });
}

/** The request; null where the template is no JSON, which the field then says. */
function request() {
  const field = at("extract-template");
  try {
    return { model: at("extract-model").value, template: JSON.parse(field.value), texts: [at("extract-text").value] };
  } catch (error) {
    field.setCustomValidity(`This is no JSON: ${error.message}`);
    field.reportValidity();
    return null;
  }
}

function draw(text, { values, fields, windows, cut }) {
  const rows = fields.map(({ path, value, start, end, log_probability: nats }) => [
    path, value === null ? "" : String(value), start === null ? "" : `${start}\u2013${end}`, nats === null ? "" : (Math.round(100 * nats) / 100 || 0).toFixed(2),
  ]);
  const notes = [];
  if (windows > 1) notes.push(`The text was read in ${windows} windows.`);
  if (cut) notes.push("An answer did not fit into the context, so values may be missing: ask for fewer fields.");
  return [
    marked(text, fields),
    table("Values", ["field", "value", "place", "log-probability"], rows),
    ...notes.map((note) => element("p", "hint", note)),
    element("pre", "", JSON.stringify(values, null, 2)),
  ];
}

/** The text, with the values that stand in it marked. Places count characters, which may take two places of a string. */
function marked(text, fields) {
  const characters = [...text];
  const shown = element("p", "sample");
  let done = 0;
  for (const { path, start, end } of fields.filter((one) => one.start !== null).sort((a, b) => a.start - b.start)) {
    if (start < done) continue;
    const mark = element("mark", "", characters.slice(start, end).join(""));
    mark.title = path;
    shown.append(characters.slice(done, start).join(""), mark);
    done = end;
  }
  shown.append(characters.slice(done).join(""));
  return shown;
}
