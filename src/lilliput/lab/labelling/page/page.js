// The labelling page: shows one item at a time, and sends each answer at once. Every action has a key.

const at = (id) => document.getElementById(id);
const pollMilliseconds = 300;
const help = {
  rank: "Press the number of the best reply, then of the next best; the last reply needs no key. = makes the replies that are left equal. Backspace takes a key back.",
  rate: "1 or g: a reply that you want the model to give. 2 or b: a reply that you do not want.",
  demonstrate: "w or Enter goes to the field. Write the text that should follow the prompt, and store it with Ctrl+Enter. Esc leaves the field.",
};
let shown = {};
let ranking = []; // groups of places, best first
let sending = false;

// ---- requests

async function request(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The program has ended. Every answer up to now is stored; start it again to go on.");
  }
  const value = await response.json();
  if (!response.ok) throw Object.assign(new Error(value.error), { stale: response.status === 409 });
  return value;
}

/** Send one request at a time, and show what comes back: a key that is pressed twice answers one item. */
async function send(path, body) {
  if (sending) return;
  sending = true;
  try {
    show(await request(path, body));
  } catch (error) {
    fail(error.message);
    if (error.stale) show(await request("item"));
  } finally {
    sending = false;
  }
}

function fail(text) {
  at("message").textContent = text;
  at("message").hidden = false;
}

// ---- showing

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function show(value) {
  const changed = value.item !== shown.item || value.done || value.ended;
  shown = value;
  at("message").hidden = true;
  const parts = [`${value.answered} of ${value.total} answered`, value.skipped && `${value.skipped} skipped`, value.left_out && `${value.left_out} left out`];
  at("progress").textContent = `${parts.filter(Boolean).join(", ")} (${value.labeller})`;
  at("waiting").hidden = !value.waiting;
  at("work").hidden = !value.item;
  at("end").hidden = !(value.done || value.ended);
  at("always").hidden = Boolean(value.ended);
  if (value.waiting) setTimeout(() => send("item"), pollMilliseconds);
  if (value.done) end("No item is left", "Press q to end the program, or u to go back.");
  if (value.ended) end("The program has ended", "Every answer is stored. This page can be closed.");
  if (value.item && changed) showItem();
}

function end(title, text) {
  at("end-title").textContent = title;
  at("end-text").textContent = text;
}

function showItem() {
  ranking = [];
  at("prompt").textContent = shown.prompt;
  const { mode } = shown;
  at("replies").replaceChildren(...shown.replies.map((text, place) => reply(text, place, mode)));
  for (const id of ["good", "bad"]) at(id).hidden = mode !== "rate";
  for (const id of ["equal", "back"]) at(id).hidden = mode !== "rank";
  for (const id of ["writing", "write", "store"]) at(id).hidden = mode !== "demonstrate";
  at("text").value = "";
  at("keys-text").textContent = help[mode];
  showRanking();
  scrollTo(0, 0);
  if (mode === "demonstrate") at("text").focus();
  else document.activeElement?.blur(); // a key that is held must not press the next item's button
}

function reply(text, place, mode) {
  const ranks = mode === "rank";
  const card = element(ranks ? "button" : "div", "reply", "");
  if (ranks) {
    card.append(element("span", "place", String(place + 1)));
    card.addEventListener("click", () => rank(place));
  }
  card.append(text.trim() || "(no text)");
  return card;
}

function showRanking() {
  const cards = at("replies").children;
  const ranked = ranking.flat();
  [...cards].forEach((card, place) => card.classList.toggle("ranked", ranked.includes(place)));
  at("ranking").textContent = ranking.length ? `best first: ${ranking.map((group) => group[0] + 1).join(" > ")} > …` : "";
}

// ---- answering

const answer = (given) => send("answer", { item: shown.item, answer: given });

function left() {
  const ranked = ranking.flat();
  return shown.replies.map((_, place) => place).filter((place) => !ranked.includes(place));
}

function rank(place) {
  if (shown.mode !== "rank" || !left().includes(place)) return;
  ranking.push([place]);
  showRanking();
  if (left().length === 1) answer([...ranking, left()]);
}

function rate(good) {
  if (shown.mode === "rate") answer(good);
}

function store() {
  if (shown.mode !== "demonstrate") return;
  if (at("text").value.trim()) answer(at("text").value);
  else fail("Nothing is written yet.");
}

function write(event) {
  if (shown.mode !== "demonstrate") return;
  event?.preventDefault();
  at("text").focus();
}

function takeBack() {
  ranking.pop();
  showRanking();
}

const actions = {
  good: () => rate(true),
  bad: () => rate(false),
  write,
  store,
  equal: () => shown.mode === "rank" && answer([...ranking, left()]),
  back: takeBack,
  skip: () => shown.item && send("skip", { item: shown.item }),
  undo: () => send("undo", {}),
  quit: () => send("quit", {}),
  help: () => at("keys").showModal(),
};
const keys = { s: "skip", u: "undo", q: "quit", "?": "help", g: "good", b: "bad", w: "write", "=": "equal", Backspace: "back" };

function press(event) {
  if (at("keys").open || event.repeat) return;
  if (event.target === at("text")) {
    if (event.key === "Escape") at("text").blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) store();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || shown.ended) return;
  if (event.key === "Enter" && event.target === document.body) write(event);
  else if (event.key in keys) act(keys[event.key], event);
  else if (/^[1-4]$/.test(event.key) && shown.item) digit(Number(event.key));
}

function digit(number) {
  if (shown.mode === "rank") rank(number - 1);
  else if (number <= 2) rate(number === 1);
}

function act(name, event) {
  event.preventDefault(); // '?' and Backspace have other jobs in some browsers; 'w' would be typed into the field
  actions[name](event);
}

for (const [name, action] of Object.entries(actions)) at(name).addEventListener("click", action);
document.addEventListener("keydown", press);
send("item");
