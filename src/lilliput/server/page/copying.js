// A request as a command, in a dialog and on the clipboard.

import { command } from "./api.js";

const at = (id) => document.getElementById(id);

/** Copy the command that sends a request. `does` says what it does in a terminal. */
export async function copy(path, body, does) {
  const text = command(path, body);
  at("command-text").textContent = text;
  try {
    await navigator.clipboard.writeText(text);
    at("copied").textContent = `Copied. In a terminal this ${does}:`;
  } catch {
    at("copied").textContent = `This browser lets no page copy; in a terminal this ${does}:`;
  }
  at("command").showModal();
}
