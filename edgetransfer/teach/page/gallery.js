// A grid of photos. Tiles are kept while their photo is, so that focus stays where it is.

import { show } from "./ask.js";
import { percent } from "./camera.js";

export class Gallery {
  constructor(list, selected, acts) {
    this.list = list;
    this.selected = selected;
    this.acts = acts;
    this.photos = [];
    this.tiles = new Map();
  }

  render(photos) {
    this.photos = photos;
    const ids = new Set(photos.map((photo) => photo.id));
    const focused = document.activeElement?.closest?.("li");
    const lost = focused && this.list.contains(focused) && !ids.has(focused.dataset.id)
      ? [...this.list.children].indexOf(focused) : -1;
    for (const [id, item] of this.tiles) {
      if (!ids.has(id)) {
        item.remove();
        this.tiles.delete(id);
        if (!document.querySelector(`.tile[data-id="${CSS.escape(id)}"]`)) this.selected.delete(id);
      }
    }
    photos.forEach((photo, place) => {
      const item = this.tiles.get(photo.id) ?? this.made(photo);
      if (this.list.children[place] !== item) this.list.insertBefore(item, this.list.children[place] ?? null);
      this.describe(item, photo);
    });
    const next = this.following ?? (lost >= 0 ? this.list.children[Math.min(lost, photos.length - 1)] : null);
    if (next && this.list.contains(next) && (lost >= 0 || document.activeElement === document.body)) {
      next.querySelector(".tile").focus();
    }
    this.following = null;
  }

  made(photo) {
    const item = document.createElement("li");
    item.dataset.id = photo.id;
    const tile = document.createElement("button");
    tile.className = "tile";
    tile.dataset.id = photo.id;
    const image = document.createElement("img");
    image.alt = "";
    image.loading = "lazy";
    show(image, `thumbnail?${new URLSearchParams({ id: photo.id })}`);
    tile.append(image);
    tile.addEventListener("click", () => {
      if (!this.selected.delete(photo.id)) this.selected.add(photo.id);
      this.acts.toggled();
    });
    item.append(tile);
    for (const act of ["take", "keep"]) {
      if (!this.acts[act]) continue;
      const button = document.createElement("button");
      button.className = "take";
      button.dataset.act = act;
      button.addEventListener("click", () => {
        this.moveOn(tile);
        this.acts[act](item.photo);
      });
      item.append(button);
    }
    this.tiles.set(photo.id, item);
    return item;
  }

  describe(item, photo) {
    item.photo = photo;
    const guess = photo.probability === undefined ? "" : `, ${percent(photo.probability)}`;
    let text;
    if (photo.proposed) text = `Photo labelled ${photo.label}, perhaps ${photo.proposed}${guess}`;
    else if (photo.known) text = `Photo of ${photo.label}`;
    else if (photo.label) text = `Photo without a class, taken for ${photo.label}${guess}${photo.unknown ? ", unlike all others" : ""}`;
    else text = "Photo without a class";
    const tile = item.querySelector(".tile");
    tile.setAttribute("aria-label", text);
    tile.title = text;
    tile.setAttribute("aria-pressed", String(this.selected.has(photo.id)));
    for (const button of item.querySelectorAll(".take")) {
      button.hidden = !photo.label;
      button.textContent = button.dataset.act === "take" ? this.acts.taken(photo) : this.acts.kept(photo);
    }
  }

  mark() {
    for (const [id, item] of this.tiles) {
      item.querySelector(".tile").setAttribute("aria-pressed", String(this.selected.has(id)));
    }
  }

  /** Where focus goes once this photo has left. */
  moveOn(tile) {
    const item = tile.closest("li");
    this.following = item.nextElementSibling ?? item.previousElementSibling;
  }

  takeGuess(tile) {
    const { photo } = tile.closest("li");
    if (!this.acts.take || !photo.label) return false;
    this.moveOn(tile);
    this.acts.take(photo);
    return true;
  }

  step(tile, key) {
    const items = [...this.list.children];
    const columns = getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    const next = items[items.indexOf(tile.closest("li")) + by];
    next?.querySelector(".tile").focus();
    return next !== undefined;
  }
}
