// Requests to the server that this page came from: JSON, events of a stream, and the same request as a command.

const keyName = "lilliput-key";

function headers() {
  const key = sessionStorage.getItem(keyName);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function askForKey() {
  const dialog = document.getElementById("ask-key");
  if (!dialog.open) dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  sessionStorage.setItem(keyName, document.getElementById("key").value);
}

/** The response to a GET, or to a POST of `body`. An error is thrown with the server's own words. */
export async function send(path, body, signal) {
  const options = { headers: headers(), signal };
  if (body) {
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
    options.headers["Content-Type"] = "application/json";
  }
  const response = await fetch(path, options);
  if (response.ok) return response;
  if (response.status === 401) {
    await askForKey();
    return send(path, body, signal);
  }
  throw new Error((await response.json()).error.message);
}

/** The JSON at `path`. */
export async function get(path) {
  return (await send(path)).json();
}

/** The chunks of a streamed answer, as they come. */
export async function* stream(path, body, signal) {
  const response = await send(path, { ...body, stream: true }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the server went away in the middle");
    const events = (held + value).split("\n\n");
    held = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      yield chunk;
    }
  }
}

/** A shell command that sends the same request. A key goes through standard input: a command line can be read by other
 * users, and printf is a part of the shell, not a program. */
export function command(path, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const keyed = sessionStorage.getItem(keyName) !== null;
  const key = keyed ? `printf 'Authorization: Bearer %s\\n' "$LILLIPUT_API_KEY" | \\\n  ` : "";
  return `${key}curl ${location.origin}${path} -H 'Content-Type: application/json'${keyed ? " -H @-" : ""} \\\n  -d '${quoted}'`;
}
