// People: made-up people, their diaries, and a town with a policy; by rule, or by a model that was trained on people.

import { copy } from "./copying.js";
import { make, numbers, table } from "./making.js";
import { element } from "./story.js";
import { label, shape, ticks } from "./svg.js";

const at = (id) => document.getElementById(id);
let last = "personas"; // what was made last

export function start(models) {
  at("people-model").append(...models.map((model) => new Option(model.id)));
  at("people-form").addEventListener("submit", (event) => {
    event.preventDefault();
    last = event.submitter?.value ?? last;
    const draw = { personas: people, diaries, simulate: town }[last];
    make(at("people-made"), `/worlds/${last}`, request(last), draw);
  });
  at("people-curl").addEventListener("click", () => copy(`/worlds/${last}`, request(last), "makes the same"));
}

function request(what) {
  const model = at("people-model").value;
  const { count, days, seed } = numbers({ count: "people-count", days: "people-days", seed: "people-seed" });
  const body = model ? { model, seed } : { seed };
  if (what === "personas") return { ...body, count };
  if (what === "diaries") return { ...body, count, days };
  const { rent, income, from } = numbers({ rent: "policy-rent", income: "policy-income", from: "policy-from" });
  const policy = [];
  if (at("policy-tram").value) policy.push(`tram=${at("policy-tram").value}`);
  if (rent) policy.push(`rent=${rent}%`);
  if (income) policy.push(`income=${income}`);
  return { ...body, people: count, days, policy, from_day: policy.length ? from : 1 };
}

const percent = (share) => `${(100 * share).toFixed(1)}%`;

function people({ people: made, fit }) {
  const rows = Object.entries(fit.tables).map(([name, each]) => [
    name, each.error.toFixed(3), `${each.low.toFixed(3)} to ${each.high.toFixed(3)}`, each.perfect.toFixed(3),
  ]);
  return [
    ...made.slice(0, 20).map((person) => element("p", "sample", person.text)),
    element("p", "hint", `${made.length} people; ${percent(fit.contradicting.share)} contradict themselves.`),
    table("Error beside the tables that the people are drawn from", ["table", "error", "95% interval", "a perfect sample"], rows),
  ];
}

function diaries({ diaries: made, report }) {
  const shown = made.slice(0, 10).flatMap((diary) => [
    element("h2", "", diary.person.name),
    element("p", "hint", diary.text),
    ...diary.days.map((day) => {
      const line = element("p", "sample");
      for (const part of day.text.split(/(\[[^\]]*\])/)) line.append(part.startsWith("[") ? element("mark", "", part) : part);
      return line;
    }),
  ]);
  const rows = Object.entries(report.euros_a_day).map(([name, euros]) => [name, euros.toFixed(2)]);
  const wrong = `${report.days} days; ${percent(report.contradicting.share)} contradict the person or the heading.`;
  return [table("Euros a person and day", ["category", "euros"], rows), element("p", "hint", wrong), ...shown];
}

function town({ settings, series, outcomes }) {
  const both = settings.policy.length > 0;
  const rows = Object.entries(outcomes).map(([name, each]) => [
    name, each.control.toFixed(3),
    ...(both ? [each.policy.toFixed(3), each.difference.toFixed(3), `${each.low.toFixed(3)} to ${each.high.toFixed(3)}`] : []),
  ]);
  const head = ["a person and day", "control", ...(both ? ["policy", "difference", "95% interval"] : [])];
  const charts = element("div", "heads");
  const moved = Object.keys(outcomes).filter((name) => Object.values(series).some((arm) => arm[name].some(Boolean)));
  for (const name of moved) charts.append(chart(name, series, settings));
  const words = `${settings.people} made-up people, ${settings.days} days${both ? `; ${settings.policy.join(", ")} from day ${settings.from_day} on` : ""}. Their answer to a policy is that of the rules or texts that they learned from.`;
  return [element("p", "hint", words), table("Means", head, rows), charts];
}

/** The mean of a figure day by day: thin without the policy, thick with it. */
function chart(name, series, settings) {
  const [width, height, left, edge] = [300, 130, 44, 18];
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img" });
  const high = Math.max(...Object.values(series).flatMap((arm) => arm[name]));
  const x = (day) => left + (day / Math.max(settings.days - 1, 1)) * (width - left - 8);
  const y = (value) => height - edge - (value / high) * (height - 2 * edge);
  for (const value of ticks(0, high, 3)) {
    svg.append(shape("line", { class: "grid", x1: left, x2: width - 8, y1: y(value), y2: y(value) }));
    svg.append(label(left - 6, y(value) + 4, "end", +value.toPrecision(3)));
  }
  for (const [arm, values] of Object.entries(series)) {
    const path = values[name].map((value, day) => `${day ? "L" : "M"}${x(day).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    svg.append(shape("path", { class: arm === "control" ? "training" : "validation", d: path }));
  }
  svg.setAttribute("aria-label", `${name}, mean over people, against days`);
  const figure = element("figure");
  figure.append(svg, element("figcaption", "", name));
  return figure;
}
