// Asks the server. A token, where one is needed, is kept for this tab alone.

const KEY = "edgetransfer-token";
let token = sessionStorage.getItem(KEY) ?? "";
let asking = null;

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** An answer's JSON. Throws `Refused` with the server's own words. */
export async function ask(path, { method = "GET", body, json } = {}) {
  const answer = await answered(path, method, json === undefined ? body : JSON.stringify(json),
    json === undefined ? {} : { "Content-Type": "application/json" });
  return answer.json();
}

/** The same as a blob, with the file's name if it has one. */
export async function askBlob(path) {
  const answer = await answered(path, "GET", undefined, {});
  const named = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
  return { blob: await answer.blob(), name: named ? named[1] : "model.onnx" };
}

/** Shows a picture of the server in an `img`. */
export async function show(image, path) {
  if (!token) {
    image.src = path;
    return;
  }
  try {
    const { blob } = await askBlob(path);
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    image.src = URL.createObjectURL(blob);
  } catch {
    image.removeAttribute("src");
  }
}

async function answered(path, method, body, headers) {
  for (;;) {
    const shown = token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
    let answer;
    try {
      answer = await fetch(path, { method, body, headers: shown, cache: "no-store" });
    } catch {
      throw new Refused(0, "the server does not answer: is it still running?");
    }
    if (answer.status === 401) {
      await wanted();
      continue;
    }
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({ error: answer.statusText }));
      throw new Refused(answer.status, problem.error);
    }
    return answer;
  }
}

function wanted() {
  asking ??= new Promise((done) => {
    const dialog = document.createElement("dialog");
    const form = document.createElement("form");
    const label = document.createElement("label");
    label.textContent = "The token that this server was started with ";
    const input = document.createElement("input");
    input.type = "password";
    input.required = true;
    const button = document.createElement("button");
    button.className = "main";
    button.textContent = "Go on";
    label.append(input);
    form.append(label, button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      token = input.value.trim();
      sessionStorage.setItem(KEY, token);
      dialog.remove();
      asking = null;
      done();
    });
    dialog.append(form);
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}
