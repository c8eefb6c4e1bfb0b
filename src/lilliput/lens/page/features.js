// Shows the pages of a section one at a time. Without this script all pages stand below each other.
// Keys: left and right (or k and j) go to the page before and after, Home and End to the first and the last.
for (const box of document.querySelectorAll("[data-browse]")) {
  const pages = [...box.querySelectorAll(":scope > article")];
  if (pages.length < 2) continue;

  const name = box.dataset.browse;
  const bar = document.createElement("p");
  const choice = document.createElement("select");
  const count = document.createElement("span");
  choice.setAttribute("aria-label", `Choose a ${name}`);
  count.setAttribute("aria-live", "polite");
  for (const [place, page] of pages.entries()) {
    choice.add(new Option(page.dataset.name, String(place)));
  }
  let shown = 0;

  const show = (place) => {
    shown = Math.max(0, Math.min(pages.length - 1, place));
    pages.forEach((page, at) => { page.hidden = at !== shown; });
    choice.value = String(shown);
    count.textContent = ` ${shown + 1} of ${pages.length}`;
  };

  const button = (text, label, step) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", () => show(shown + step));
    return made;
  };

  bar.append(button("←", `The ${name} before`, -1), " ", choice, " ", button("→", `The next ${name}`, 1), count);
  box.prepend(bar);
  choice.addEventListener("change", () => show(Number(choice.value)));
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `Pages of ${name}s; arrow keys turn them`);
  box.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target === choice) return;
    const target = { ArrowLeft: shown - 1, k: shown - 1, ArrowRight: shown + 1, j: shown + 1, Home: 0, End: pages.length - 1 };
    if (!(event.key in target)) return;
    event.preventDefault();
    show(target[event.key]);
  });

  const linked = pages.findIndex((page) => `#${page.id}` === location.hash);
  show(Math.max(0, linked));
}
