// The classes: each a button that labels, a place to drop photos on, and a way to rename it.

import { percent } from "./camera.js";
import { dropTarget } from "./files.js";

export class Classes {
  constructor(list, acts) {
    this.list = list;
    this.acts = acts;
    this.expected = []; // named by the person, without a photo yet
    this.names = [];
    this.items = new Map();
  }

  expect(name, state) {
    if (name && !this.names.includes(name)) this.expected.push(name);
    this.render(state);
    this.items.get(name)?.querySelector(".give").focus();
  }

  render(state) {
    const known = new Map(state.classes.map((c) => [c.name, c]));
    this.expected = this.expected.filter((name) => !known.has(name));
    this.names = [...known.keys(), ...this.expected];
    for (const [name, item] of this.items) {
      if (!this.names.includes(name)) {
        item.remove();
        this.items.delete(name);
      }
    }
    this.names.forEach((name, place) => {
      const item = this.items.get(name) ?? this.made(name);
      if (this.list.children[place] !== item) this.list.insertBefore(item, this.list.children[place] ?? null);
      const { photos, recognised } = known.get(name) ?? { photos: 0, recognised: null };
      const key = item.querySelector("kbd");
      key.hidden = place >= 9;
      key.textContent = place + 1;
      item.querySelector(".quiet").textContent = `${photos === 1 ? "1 photo" : `${photos} photos`}`
        + (recognised === null ? "" : ` · ${percent(recognised)} recognised`);
      item.querySelector(".edit").hidden = photos === 0;
    });
    document.getElementById("no-class").hidden = this.names.length > 0;
  }

  made(name) {
    const item = document.createElement("li");
    const give = document.createElement("button");
    give.className = "give";
    const key = document.createElement("kbd");
    const label = document.createElement("span");
    label.className = "name";
    label.textContent = name;
    const standing = document.createElement("span");
    standing.className = "quiet";
    give.append(key, label, standing);
    give.addEventListener("click", () => this.acts.give(name));
    const edit = document.createElement("button");
    edit.className = "edit";
    edit.textContent = "Edit";
    edit.setAttribute("aria-label", `Edit ${name}: rename or forget it`);
    edit.addEventListener("click", () => this.acts.edit(name));
    item.append(give, edit);
    dropTarget(item, (photos) => this.acts.take(photos, name));
    this.items.set(name, item);
    return item;
  }
}
