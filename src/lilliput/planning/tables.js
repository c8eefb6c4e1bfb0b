// Fills the first row of each reference table from its inputs; the same sums as tables.py.
"use strict";

function text(value, units = ["", "k", "M", "B", "T"]) {
  if (!Number.isFinite(value)) return "-";
  let place = 0;
  while (value >= 999.5 && place < units.length - 1) { value /= 1000; place += 1; }
  return `${value >= 999.5 ? value.toExponential(2) : Number(value.toPrecision(3))}${units[place]}`;
}

const FLOPS = ["", "k", "M", "G", "T", "P", "E", "Z"].map((prefix) => ` ${prefix}FLOP`);
const rows = {
  models: ([n, d]) => [
    text(n), text(d), text(d / n), `${text(d / n / 20)}x`, text(6 * n * d, FLOPS),
    (1.69 + 406.4 / n ** 0.34 + 410.7 / d ** 0.28).toFixed(3),
  ],
  text: ([tokens, words]) => [text(tokens), text(tokens * words), text((tokens * words) / 90000)],
  energy: ([hours, watts, grams]) => [
    text(hours), text(watts), text((hours * watts) / 1e6), text(grams), text((hours * watts * grams) / 1e9),
  ],
};

for (const [name, row] of Object.entries(rows)) {
  const section = document.getElementById(name);
  const inputs = [...section.querySelectorAll("input")];
  const update = () => {
    const cells = section.querySelector(".own").cells;
    row(inputs.map((input) => Number(input.value))).forEach((value, i) => { cells[i + 1].textContent = value; });
  };
  inputs.forEach((input) => input.addEventListener("input", update));
  update();
}
