// Tables: rows by a model of a table, under conditions, and a CSV file of them.

import { copy } from "./copying.js";
import { make, numbers, table } from "./making.js";
import { element } from "./story.js";

const SHOWN = 200; // rows
const at = (id) => document.getElementById(id);
let made = {};

export function start(models) {
  at("tab-tables").hidden = models.length === 0;
  at("tables-model").append(...models.map((model) => new Option(model.id)));
  at("tables-form").addEventListener("submit", (event) => {
    event.preventDefault();
    at("tables-save").disabled = true;
    make(at("tables-made"), "/worlds/tables", request(), draw);
  });
  at("tables-curl").addEventListener("click", () => copy("/worlds/tables", request(), "makes the same rows"));
  at("tables-save").addEventListener("click", save);
}

function request() {
  const lines = at("tables-where").value.split("\n").filter((line) => line.trim());
  const where = Object.fromEntries(lines.map((line) => {
    const [name, ...value] = line.split("=");
    return [name.trim(), value.join("=").trim()];
  }));
  const fields = { count: "tables-count", seed: "tables-seed", temperature: "tables-temperature" };
  return { model: at("tables-model").value, ...numbers(fields), where };
}

function draw({ tables }) {
  made = tables;
  at("tables-save").disabled = false;
  return Object.entries(tables).flatMap(([name, { columns, rows }]) => {
    const more = rows.length > SHOWN ? [element("p", "hint", `The first ${SHOWN} of ${rows.length} rows.`)] : [];
    return [table(`${name}: ${rows.length} made-up rows`, columns, rows.slice(0, SHOWN)), ...more];
  });
}

const quoted = (value) => (/[",\n\r]/.test(value ?? "") ? `"${value.replaceAll('"', '""')}"` : value ?? "");

function save() {
  for (const [name, { columns, rows }] of Object.entries(made)) {
    const text = [columns, ...rows].map((row) => row.map(quoted).join(",")).join("\n");
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([text, "\n"], { type: "text/csv" }));
    link.download = `${name}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  }
}
