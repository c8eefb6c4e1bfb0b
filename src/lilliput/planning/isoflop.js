// Moves the star and its line on the IsoFLOP figure, and writes the numbers of the law and of the other methods beside it.
"use strict";
const at = (id) => document.getElementById(id);
const facts = JSON.parse(at("isoflop").dataset.facts);
const SVG = "http://www.w3.org/2000/svg";
const factor = facts.factor;

const loss = (law, n, d) => law.E + law.A / n ** law.alpha + law.B / d ** law.beta;

function best(law, flops) {
  const total = law.alpha + law.beta;
  const scale = ((law.alpha * law.A) / (law.beta * law.B)) ** (1 / total);
  return scale * (flops / factor) ** (law.beta / total);
}

function text(value) {
  let place = 0;
  while (value >= 999.5 && place < 4) { value /= 1000; place += 1; }
  return (value >= 999.5 ? value.toExponential(2) : String(Number(value.toPrecision(3)))) + ["", "k", "M", "B", "T"][place];
}

function scale(words) {
  const [from, to, low, high] = words.split(" ").map(Number);
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

function draw(chart, flops, n) {
  const x = scale(chart.dataset.x), y = scale(chart.dataset.y);
  const [left, right] = chart.dataset.x.split(" ").map(Number);
  const [bottom, top] = chart.dataset.y.split(" ").map(Number);
  const where = [x(Math.log10(n)), y(loss(facts.law, n, flops / factor / n))];
  const inside = where[0] >= left && where[0] <= right && where[1] >= top && where[1] <= bottom;
  for (const part of chart.querySelectorAll(".star, .level, .level-name")) part.style.display = inside ? "" : "none";
  const star = chart.querySelector(".star"), line = chart.querySelector(".level"), name = chart.querySelector(".level-name");
  const points = Array.from({ length: 10 }, (_, i) => {
    const radius = i % 2 ? 4.2 : 10, angle = Math.PI * (i / 5 - 0.5);
    return `${where[0] + radius * Math.cos(angle)},${where[1] + radius * Math.sin(angle)}`;
  });
  star.setAttribute("points", points.join(" "));
  line.setAttribute("x1", where[0]);
  line.setAttribute("x2", where[0]);
  const onLeft = where[0] > (left + right) / 2;
  name.setAttribute("x", where[0] + (onLeft ? -6 : 6));
  name.setAttribute("text-anchor", onLeft ? "end" : "start");
  name.textContent = `${text(n)} parameters`;
  let path = chart.querySelector(".own");
  if (!path) {
    path = document.createElementNS(SVG, "path");
    path.setAttribute("class", "line s1 own");
    chart.insertBefore(path, star);
  }
  const sizes = Array.from({ length: 161 }, (_, i) => left + ((right - left) * i) / 160);
  const low = Number(chart.dataset.x.split(" ")[2]), high = Number(chart.dataset.x.split(" ")[3]);
  const dots = sizes.map((pixel) => {
    const size = 10 ** (low + ((pixel - left) / (right - left)) * (high - low));
    return [pixel, y(loss(facts.law, size, flops / factor / size))];
  }).filter(([, row]) => row >= top && row <= bottom);
  path.setAttribute("d", dots.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)},${b.toFixed(1)}`).join(" "));
}

function update() {
  const flops = 10 ** Number(at("flops").value);
  const optimum = best(facts.law, flops);
  if (at("follow").checked) at("size").value = Math.log10(optimum);
  const n = at("follow").checked ? optimum : 10 ** Number(at("size").value);
  const d = flops / factor / n;
  const value = loss(facts.law, n, d), least = loss(facts.law, optimum, flops / factor / optimum);
  at("flops-text").textContent = `${flops.toExponential(2)} FLOPs`;
  at("size-text").textContent = text(n);
  at("loss").textContent = value.toFixed(3);
  at("tokens").textContent = text(d);
  at("per-parameter").textContent = text(d / n);
  at("lost").textContent = (value - least).toFixed(3);
  const line = ([slope, intercept]) => 10 ** (intercept + slope * Math.log10(flops));
  const sizes = [line(facts.one), line(facts.two), optimum, best(facts.again, flops), Math.sqrt(flops / factor / facts.ratio)];
  [...at("methods").rows].slice(1).forEach((row, i) => {
    const tokens = flops / factor / sizes[i];
    [sizes[i], tokens, tokens / sizes[i]].forEach((number, j) => { row.cells[j + 1].textContent = text(number); });
  });
  for (const chart of document.querySelectorAll("#isoflop svg")) draw(chart, flops, n);
}

at("flops").addEventListener("input", update);
at("follow").addEventListener("input", update);
at("size").addEventListener("input", () => { at("follow").checked = false; update(); });
update();
