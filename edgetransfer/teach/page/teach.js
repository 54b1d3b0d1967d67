// The page where a classifier is taught: all state is the server's, this shows it and sends acts.

import { ask, askBlob } from "./ask.js";
import { chosen, dropTarget } from "./files.js";
import { Classes } from "./classes.js";
import { confusionTable, headline, speedText } from "./figures.js";
import { Gallery } from "./gallery.js";
import { Live } from "./live.js";
import { Sender } from "./sender.js";

const EVERY = 700; // milliseconds between looks at the state
const $ = (id) => document.getElementById(id);
const selected = new Set();
let state = null;
let listed = { label: null, total: 0 };

const say = (text) => ($("said").textContent = text);
const count = (n) => (n === 1 ? "1 photo" : `${n} photos`);

// Acts

async function act(what, done) {
  try {
    const answer = await what();
    say(done(answer));
  } catch (error) {
    say(error.message);
  }
  await refresh();
}

const post = (path, json) => ask(path, { method: "POST", json });

function give(label) {
  const ids = [...selected];
  if (!ids.length && live.on) return live.take(label);
  if (!ids.length) {
    say(`Choose photos first, then ${label}; or drop photos onto it.`);
    return undefined;
  }
  return labelled(ids, label);
}

function labelled(ids, label) {
  selected.clear();
  return act(() => post("label", { ids, label }), (a) =>
    label === null ? `${count(a.photos)} without a class now` : `${count(a.photos)} labelled ${label}`);
}

const classes = new Classes($("classes"), { give, edit, take: (photos, label) => sender.send(photos, label) });
const live = new Live({ say, taken: refresh });
const sender = new Sender({ say, taken: refresh });
const galleries = {
  next: new Gallery($("next"), selected, { toggled, take: (p) => labelled([p.id], p.label), taken: (p) => (p.unknown ? `Unlike all; ${p.label}?` : `Yes, ${p.label}`) }),
  doubtful: new Gallery($("doubtful"), selected, {
    toggled,
    take: (p) => labelled([p.id], p.proposed),
    taken: (p) => `It is ${p.proposed}`,
    keep: (p) => act(() => post("confirm", { ids: [p.id] }), () => `${p.label} it stays`),
    kept: (p) => `It is ${p.label}`,
  }),
  photos: new Gallery($("photos"), selected, { toggled }),
};

function edit(name) {
  $("rename-title").textContent = `Class ${name}`;
  $("rename-name").value = name;
  $("rename").dataset.name = name;
  $("rename").showModal();
  $("rename-name").select();
}

$("rename").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const old = $("rename").dataset.name;
  const name = $("rename-name").value;
  $("rename").close();
  act(() => post("rename", { class: old, name }), (a) => `${count(a.photos)} are ${name} now`);
});
$("rename-cancel").addEventListener("click", () => $("rename").close());
$("rename-forget").addEventListener("click", () => {
  const name = $("rename").dataset.name;
  $("rename").close();
  act(() => post("forget", { class: name }), (a) => `Forgot ${name}: ${count(a.photos)}`);
});
$("new").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  $("name").value = "";
  if (selected.size) give(name);
  else classes.expect(name, state);
});
$("undo").addEventListener("click", () =>
  act(() => post("undo", {}), (a) => (a.undone ? `Undone: ${a.undone}` : "There is nothing to undo")));
$("speed").addEventListener("click", async () => {
  $("speed").disabled = true;
  say("Measuring both engines in turns; a few seconds");
  await act(() => post("speed", {}), speedText);
  $("speed").disabled = false;
});
$("unlabel").addEventListener("click", () => labelled([...selected], null));
$("forget").addEventListener("click", () => {
  const ids = [...selected];
  selected.clear();
  act(() => post("forget", { ids }), (a) => `Forgot ${count(a.photos)}`);
});
$("clear").addEventListener("click", () => {
  selected.clear();
  toggled();
});
$("download").addEventListener("click", async () => {
  say("The classifier is made and compared with what was learned …");
  $("download").disabled = true;
  try {
    const { blob, name } = await askBlob("export");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say(`Downloaded ${name}: edgetransfer predict ${name} PHOTO says what a photo shows`);
  } catch (error) {
    say(error.message);
  }
  $("download").disabled = false;
});

for (const id of ["files", "folder"]) {
  $(id).addEventListener("change", () => {
    sender.send(chosen($(id)), null);
    $(id).value = "";
  });
}
dropTarget($("drop"), (photos) => sender.send(photos, null));
dropTarget(document.body, (photos) => sender.send(photos, null));

// Keys: a digit labels, U undoes, Enter on a photo takes its guess

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, dialog")) return;
  const tile = event.target.closest(".tile");
  if (/^[1-9]$/.test(event.key)) {
    const label = classes.names[Number(event.key) - 1];
    if (label === undefined) return;
    event.preventDefault();
    const gallery = tile && galleries[tile.closest("ul").id];
    if (!selected.size && gallery) {
      gallery.moveOn(tile);
      labelled([tile.dataset.id], label);
    } else {
      give(label);
    }
  } else if (event.key === "u" || event.key === "U") {
    $("undo").click();
  } else if (event.key === "Escape" && selected.size) {
    $("clear").click();
  } else if (tile && event.key === "Enter") {
    const gallery = galleries[tile.closest("ul").id];
    if (gallery.takeGuess(tile)) event.preventDefault();
  } else if (tile && (event.key === "Delete" || event.key === "Backspace")) {
    event.preventDefault();
    galleries[tile.closest("ul").id].moveOn(tile);
    const ids = selected.size ? [...selected] : [tile.dataset.id];
    selected.clear();
    act(() => post("forget", { ids }), (a) => `Forgot ${count(a.photos)}`);
  } else if (tile && event.key.startsWith("Arrow")) {
    if (galleries[tile.closest("ul").id].step(tile, event.key)) event.preventDefault();
  }
});

// What is shown

function toggled() {
  for (const gallery of Object.values(galleries)) gallery.mark();
  $("bar").hidden = !selected.size;
  $("chosen").textContent = `${count(selected.size)} chosen:`;
}

function bar() {
  const names = classes.names.slice(0, 24);
  const buttons = [...$("bar-classes").children];
  if (buttons.map((b) => b.textContent).join("\n") === names.join("\n")) return;
  $("bar-classes").replaceChildren(...names.map((name) => {
    const button = document.createElement("button");
    button.textContent = name;
    button.addEventListener("click", () => give(name));
    return button;
  }));
}

function which() {
  const options = [["", `no class (${state.unlabelled})`], ...state.classes.map((c) => [`=${c.name}`, `${c.name} (${c.photos})`])];
  const select = $("which");
  const before = select.value;
  const same = [...select.options].map((o) => o.value + o.text).join("\n") === options.map((o) => o.join("")).join("\n");
  if (same) return;
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  if (options.some(([value]) => value === before)) select.value = before;
}

async function list(more) {
  try {
    await listAnew(more);
  } catch (error) {
    say(error.message);
  }
}

async function listAnew(more) {
  const label = $("which").value ? $("which").value.slice(1) : null;
  const from = more && label === listed.label ? galleries.photos.photos.length : 0;
  const query = new URLSearchParams(label === null ? { from } : { label, from });
  const answer = await ask(`photos?${query}`);
  const labels = answer.photos.map((photo) => ({ label, known: label !== null, ...photo }));
  listed = { label, total: answer.total };
  galleries.photos.render(from ? [...galleries.photos.photos, ...labels] : labels);
  const shown = galleries.photos.photos.length;
  $("shown").textContent = answer.total ? `${shown} of ${count(answer.total)}` : "There are none.";
  $("more").hidden = shown >= answer.total;
}
$("which").addEventListener("change", () => list(false));
$("more").addEventListener("click", () => list(true));

let showing = "";
async function refresh() {
  let found;
  try {
    found = await ask("state");
  } catch (error) {
    say(error.message);
    return;
  }
  const text = JSON.stringify({ ...found, per_second: Math.round(found.per_second), prequential: null });
  if (text === showing) return;
  const changed = state === null || found.version !== state.version;
  showing = text;
  state = found;
  document.title = `${state.run}: teach`;
  $("run").textContent = state.run;
  headline($, state);
  classes.render(state);
  bar();
  $("undo").disabled = state.undo === null;
  $("undo").title = state.undo ?? "";
  $("download").disabled = state.classes.length === 0;
  galleries.next.render(state.next.map((g) => ({ ...g, known: false })));
  $("next-none").hidden = state.next.length > 0;
  $("next-some").hidden = state.next.length === 0;
  $("doubtful-section").hidden = state.doubtful.length === 0;
  galleries.doubtful.render(state.doubtful.map((d) => ({ ...d, known: true })));
  $("mistakes-section").hidden = !state.honest || state.honest.classes.length < 2;
  if (state.honest) confusionTable($("confusion"), state.honest);
  which();
  if (changed) await list(false);
  toggled();
}

async function watch() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((done) => setTimeout(done, EVERY));
  }
}
watch();
