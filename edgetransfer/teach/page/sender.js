// Photos on their way to the server: a few to a request, two requests at a time, none lost.

import { ask } from "./ask.js";

const TOGETHER = 8;
const BYTES = 12 * 2 ** 20; // of one request
const AT_ONCE = 2;
const AGAIN = 700; // milliseconds

export class Sender {
  constructor({ say, taken }) {
    this.say = say;
    this.taken = taken;
    this.waiting = [];
    this.running = 0;
    this.total = 0;
    this.done = 0;
    this.refused = [];
  }

  /** Send photos; one without a label gets the name of its folder. */
  send(photos, label) {
    if (!photos.length) {
      this.say("No photos are among these");
      return;
    }
    for (const { file, folder } of photos) this.waiting.push({ file, label: label ?? folder });
    this.total += photos.length;
    this.show();
    while (this.running < AT_ONCE && this.waiting.length) this.work();
  }

  async work() {
    this.running += 1;
    while (this.waiting.length) {
      const group = this.group();
      await this.post(group);
      this.done += group.length;
      this.show();
      await this.taken();
    }
    this.running -= 1;
    if (!this.running) this.finish();
  }

  /** The next photos that go together: of one label, and not too many bytes. */
  group() {
    const group = [this.waiting.shift()];
    let bytes = group[0].file.size;
    while (this.waiting.length && group.length < TOGETHER && this.waiting[0].label === group[0].label
      && bytes + this.waiting[0].file.size <= BYTES) {
      group.push(this.waiting.shift());
      bytes += group.at(-1).file.size;
    }
    return group;
  }

  async post(group) {
    const query = group[0].label === null ? "" : `?${new URLSearchParams({ label: group[0].label })}`;
    for (;;) {
      const body = new FormData();
      for (const { file } of group) body.append("photo", file, file.name);
      try {
        const { photos } = await ask(`photos${query}`, { method: "POST", body });
        for (const photo of photos) {
          if (photo.status === "rejected") this.refused.push(`${photo.name}: ${photo.reason}`);
        }
        return;
      } catch (error) {
        if (error.status === 429 || error.status === 0) {
          this.say(error.message);
          await new Promise((done) => setTimeout(done, AGAIN));
        } else if (group.length > 1) { // one of them may be too large for a request
          for (const one of group) await this.post([one]);
          return;
        } else {
          this.refused.push(`${group[0].file.name}: ${error.message}`);
          return;
        }
      }
    }
  }

  show() {
    const sending = document.getElementById("sending");
    sending.hidden = false;
    const progress = document.getElementById("progress");
    progress.max = this.total;
    progress.value = this.done;
    document.getElementById("sent").textContent = `${this.done} of ${this.total} photos`;
  }

  finish() {
    const refused = this.refused;
    document.getElementById("sending").hidden = true;
    this.say(refused.length
      ? `${this.total - refused.length} photos taken in; not taken: ${refused.slice(0, 3).join("; ")}${refused.length > 3 ? ` and ${refused.length - 3} more` : ""}`
      : `${this.total} photos taken in`);
    this.total = this.done = 0;
    this.refused = [];
  }
}
