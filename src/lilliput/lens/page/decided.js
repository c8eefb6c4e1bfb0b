// Shows, for the word that was tapped, the prediction after each layer and the shares of the parts that decided on it.
"use strict";
(() => {
  const data = document.getElementById("decided-data");
  if (!data) return;
  const facts = JSON.parse(data.textContent);
  const words = document.getElementById("decided-words"), panel = document.getElementById("decided-panel");
  const buttons = [...words.querySelectorAll("button:not(:disabled)")];
  const all = [...words.querySelectorAll("button")];

  function make(tag, text, cls) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (cls) made.className = cls;
    return made;
  }

  const shown = (word) => word.trim() || "·";
  const signed = (value) => (value < 0 ? "" : "+") + value.toFixed(2);
  const percent = (value, digits = 0) => `${(100 * value).toFixed(digits)}%`;

  function grid(head, rows) {
    const table = make("table", undefined, "numbers"), top = table.insertRow();
    for (const name of head) top.append(make(name ? "th" : "td", name));
    for (const [name, ...cells] of rows) {
      const row = table.insertRow(), title = make("th", name);
      title.scope = "row";
      row.append(title, ...cells.map((cell) => make("td", cell)));
    }
    const scroll = make("div", undefined, "scroll");
    scroll.append(table);
    return scroll;
  }

  function bars(rows) {
    const most = Math.max(...rows.map(([, value]) => Math.abs(value)), 1e-9), table = make("table", undefined, "bars");
    for (const [name, value] of rows) {
      const row = table.insertRow(), bar = make("span", undefined, `bar ${value < 0 ? "minus" : "plus"}`);
      bar.style.width = `${(100 * Math.abs(value)) / most}%`;
      const title = make("th", name), cell = make("td");
      title.scope = "row";
      cell.append(bar);
      row.append(title, cell, make("td", signed(value), "value"));
    }
    return table;
  }

  // The same parts as parts_of in decided_section.py.
  function parts(token) {
    const rows = [["embedding of the word before", token.embedding], ["position", token.position]];
    for (const [layer, head, share, look] of token.heads) rows.push([`head ${layer}.${head}, looks at “${shown(facts.words[look])}”`, share]);
    rows.push(["other heads", token.other_heads]);
    token.mlps.forEach((share, layer) => rows.push([`MLP, layer ${layer}`, share]));
    rows.push(["biases", token.biases]);
    return rows.filter(([, value]) => value);
  }

  function show(place, focus) {
    const token = facts.tokens[place];
    for (const button of buttons) {
      const chosen = Number(button.dataset.place) === place;
      button.setAttribute("aria-pressed", chosen);
      button.tabIndex = chosen ? 0 : -1;
      if (chosen && focus) button.focus();
    }
    const looks = new Set(token.heads.slice(0, 3).map(([, , , look]) => look));
    for (const button of all) {
      const at = Number(button.dataset.place);
      button.classList.toggle("seen", looks.has(at));
    }
    const layers = facts.stages.map((stage, number) => [
      stage,
      token.layers[number].map(([word, share]) => `${shown(word)} ${percent(share)}`).join(", "),
      percent(token.probability[number], 1),
      String(token.rank[number] + 1),
    ]);
    const neurons = token.neurons.map(([layer, neuron, share]) => [`neuron ${layer}.${neuron}`, share]);
    panel.replaceChildren(
      make("h4", `“${shown(token.truth)}” rather than “${shown(token.rival)}”: ${signed(token.total)} logits`),
      grid(["", "likeliest", "this word", "rank"], layers),
      make("h4", "What decided it"), bars(parts(token)),
      make("h4", "Largest neurons, as parts of the MLPs"), bars(neurons),
    );
  }

  words.addEventListener("click", (event) => {
    const button = event.target.closest("button:not(:disabled)");
    if (button) show(Number(button.dataset.place), false);
  });
  words.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = buttons.indexOf(event.target);
    if (!step || at < 0) return;
    event.preventDefault();
    show(Number(buttons[(at + step + buttons.length) % buttons.length].dataset.place), true);
  });
  const first = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
  if (first) show(Number(first.dataset.place), false);
})();
