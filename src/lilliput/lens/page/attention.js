// Attention: choose text, layer and head; a word lights the earlier words that the head looks at.
(() => {
  const root = document.getElementById("attention");
  const block = document.getElementById("attention-data");
  if (!root || !block) return;
  const data = JSON.parse(block.textContent);
  const make = (tag, text, parent) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };

  const choices = make("p", undefined, root);
  const choose = (label, changed) => {
    const box = make("label", label + " ", choices);
    const select = make("select", undefined, box);
    box.style.marginRight = "1em";
    select.addEventListener("change", changed);
    return select;
  };
  const fill = (select, names) => {
    const before = select.selectedIndex;
    select.replaceChildren(...names.map((name) => make("option", name)));
    select.selectedIndex = before >= 0 && before < names.length ? before : 0;
  };
  const text = choose("Text", () => draw());
  const layer = choose("Layer", () => draw());
  const head = choose("Head", () => draw());
  const words = make("p", undefined, root);
  words.style.lineHeight = "2.1";
  words.setAttribute("role", "group");
  words.setAttribute("aria-label", "The words of the text; arrow keys move");
  const line = make("p", undefined, root);
  line.className = "quiet";
  line.setAttribute("aria-live", "polite");
  const map = make("canvas", undefined, root);
  map.setAttribute("role", "img");
  map.style.maxWidth = "100%";

  const pattern = () => Object.values(data.texts[text.selectedIndex].layers)[layer.selectedIndex][head.selectedIndex];
  const shown = (piece) => piece.replaceAll("\n", "\u21b5") || "\u00b7";

  function light(query) {
    const row = pattern()[query];
    const tokens = data.texts[text.selectedIndex].tokens;
    [...words.children].forEach((word) => {
      const key = Number(word.dataset.place);
      const share = key < row.length ? row[key] / data.levels : 0;
      word.style.background = share ? `color-mix(in srgb, var(--s1) ${Math.round(50 * share)}%, transparent)` : "none";
      word.style.outline = key === query ? "2px solid var(--s0)" : "none";
      word.tabIndex = key === query ? 0 : -1;
    });
    const best = row.map((share, key) => [share, key]).sort((a, b) => b[0] - a[0]).slice(0, 3).filter(([share]) => share);
    const seen = best.map(([share, key]) => `"${shown(tokens[key])}" ${Math.round((100 * share) / data.levels)}%`);
    line.textContent = `"${shown(tokens[query])}" looks at ${seen.join(", ") || "no single word"}`;
  }

  function drawMap() {
    const rows = pattern();
    const size = Math.max(4, Math.floor(280 / rows.length));
    map.width = map.height = size * rows.length;
    map.setAttribute("aria-label", "Heat map: a row for each word, a column for each word that it may look at");
    const paint = map.getContext("2d");
    paint.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--s1").trim() || "#c2711c";
    rows.forEach((row, query) => row.forEach((share, key) => {
      paint.globalAlpha = 0.06 + (0.94 * share) / data.levels;
      paint.fillRect(key * size, query * size, size - 1, size - 1);
    }));
  }

  function draw() {
    const one = data.texts[text.selectedIndex];
    fill(layer, Object.keys(one.layers));
    fill(head, Object.values(one.layers)[layer.selectedIndex].map((_, number) => String(number)));
    words.replaceChildren();
    one.order.forEach((place) => {
      const word = make("span", shown(one.tokens[place]), words);
      word.dataset.place = place;
      word.setAttribute("role", "button");
      word.style.borderRadius = "4px";
      word.style.padding = "2px 1px";
      word.style.whiteSpace = "pre-wrap";
      for (const event of ["mouseenter", "focus", "click"]) word.addEventListener(event, () => light(place));
    });
    drawMap();
    light(one.tokens.length - 1);
  }

  words.addEventListener("keydown", (event) => {
    const all = [...words.children], at = all.indexOf(event.target);
    const target = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || target === undefined) return;
    event.preventDefault();
    all[Math.max(0, Math.min(all.length - 1, target))].focus();
  });
  map.addEventListener("click", (event) => {
    const query = Math.floor((event.offsetY / map.clientHeight) * pattern().length);
    light(Math.min(Math.max(query, 0), pattern().length - 1));
  });
  fill(text, data.names);
  fill(layer, Object.keys(data.texts[0].layers));
  draw();
})();
