// Numbers: how many, how good, and what is taken for what.

import { percent } from "./camera.js";

export function headline($, state) {
  const parts = [
    `${state.photos} photos`,
    `${state.classes.length} classes`,
    ...(state.unlabelled ? [`${state.unlabelled} without a class`] : []),
    ...(state.per_second >= 0.5 ? [`${Math.round(state.per_second)} images a second`] : []),
    state.speed ? speedText(state.speed) : `engine ${state.engine}`,
  ];
  $("counts").textContent = parts.join(" · ");
  const honest = state.honest;
  if (state.paused) {
    $("share").textContent = "Paused";
    $("interval").textContent = state.paused;
  } else if (honest?.tested) {
    $("share").textContent = `${percent(honest.share)} right`;
    $("interval").textContent = `on photos left out (${percent(honest.low)} to ${percent(honest.high)}, ${honest.tested} photos)`;
  } else {
    $("share").textContent = "";
    $("interval").textContent = "Two classes of two photos each, and it tells how good it is";
  }
}

/** What the zeros are worth: both engines on the same backbone, measured in turns. */
export function speedText(speed) {
  const [sparse, dense] = [speed.images_per_second, speed.dense_images_per_second];
  return `${speed.engine} ${sparse.toFixed(0)} images a second, dense ${dense.toFixed(0)} (${speed.dense_engine}): ${(sparse / dense).toFixed(1)} times`;
}

export function confusionTable(table, honest) {
  const key = JSON.stringify(honest.confusion) + honest.classes.join();
  if (table.dataset.key === key) return;
  table.dataset.key = key;
  const head = table.createTHead();
  head.replaceChildren();
  const names = head.insertRow();
  names.append(cell("th", "", { class: "corner" }), ...honest.classes.map((name) => cell("th", name, { scope: "col" })));
  names.firstChild.append(hidden("shows, by row; taken for, by column"));
  const body = table.tBodies[0] ?? table.createTBody();
  body.replaceChildren(...honest.confusion.map((counts, i) => {
    const row = document.createElement("tr");
    row.append(cell("th", honest.classes[i], { scope: "row" }), ...counts.map((n, j) =>
      cell("td", n === 0 ? "" : String(n), { class: i === j ? "right" : n ? "wrong" : "" })));
    return row;
  }));
}

function cell(kind, text, attributes) {
  const made = document.createElement(kind);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) if (value) made.setAttribute(name, value);
  return made;
}

function hidden(text) {
  const made = document.createElement("span");
  made.className = "apart";
  made.textContent = text;
  return made;
}
