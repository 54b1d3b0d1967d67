// Photos in, predictions out; nothing is kept.

import { ask } from "./ask.js";
import { Camera, showGuess } from "./camera.js";
import { chosen, dropTarget } from "./files.js";

const KEPT = 60; // answers that are shown at most
const AT_ONCE = 2;
const GLANCE = 250; // milliseconds between looks of the camera

const $ = (id) => document.getElementById(id);
const camera = new Camera($("video"));
const waiting = [];
let running = 0;

async function describe() {
  const model = await ask("model");
  const classes = model.classes.length;
  $("model").textContent = `${classes} classes: ${model.classes.slice(0, 12).join(", ")}`
    + (classes > 12 ? ", …" : "") + ` · engine ${model.engine}`;
}

function take(photos) {
  waiting.push(...photos.map(({ file }) => file));
  while (running < AT_ONCE && waiting.length) work();
}

async function work() {
  running += 1;
  while (waiting.length) {
    const file = waiting.shift();
    $("said").textContent = waiting.length ? `${waiting.length} photos wait` : "";
    await answer(file);
  }
  running -= 1;
}

async function answer(file) {
  const item = document.createElement("li");
  const picture = document.createElement("img");
  picture.alt = "";
  picture.src = URL.createObjectURL(file);
  const name = document.createElement("span");
  name.className = "quiet name";
  name.textContent = file.name;
  const verdict = document.createElement("strong");
  const bars = document.createElement("ul");
  bars.className = "bars";
  item.append(picture, name, verdict, bars);
  $("none").hidden = true;
  $("answers").prepend(item);
  while ($("answers").children.length > KEPT) {
    const last = $("answers").lastElementChild;
    URL.revokeObjectURL(last.querySelector("img").src);
    last.remove();
  }
  const form = new FormData();
  form.append("photo", file);
  for (;;) {
    try {
      const [found] = (await ask("predict", { method: "POST", body: form })).predictions;
      if (found.error) throw new Error(found.error);
      showGuess(bars, verdict, found);
      return;
    } catch (error) {
      if (error.status === 429) {
        await new Promise((done) => setTimeout(done, 500));
        continue;
      }
      verdict.className = "warn";
      verdict.textContent = error.message;
      return;
    }
  }
}

async function look() {
  while (camera.on) {
    const frame = await camera.frame(448);
    if (frame) {
      try {
        showGuess($("bars"), $("verdict"), await ask("predict", { method: "POST", body: frame }));
      } catch (error) {
        $("verdict").textContent = error.message;
      }
    }
    await new Promise((done) => setTimeout(done, GLANCE));
  }
}

$("files").addEventListener("change", () => {
  take(chosen($("files")));
  $("files").value = "";
});
$("camera").addEventListener("click", async () => {
  if (camera.on) {
    camera.stop();
  } else {
    try {
      await camera.start();
      look();
    } catch (error) {
      $("said").textContent = `No camera: ${error.message}`;
    }
  }
  $("live").hidden = !camera.on;
  $("camera").textContent = camera.on ? "Stop the camera" : "Use the camera";
});
dropTarget($("drop"), take);
dropTarget(document.body, take);
describe().catch((error) => ($("model").textContent = error.message));
