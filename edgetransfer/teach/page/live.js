// The camera, and what the head makes of it while one looks.

import { ask } from "./ask.js";
import { Camera, showGuess } from "./camera.js";

const GLANCE = 200; // milliseconds between guesses
const $ = (id) => document.getElementById(id);

export class Live {
  constructor({ say, taken }) {
    this.say = say;
    this.taken = taken;
    this.camera = new Camera($("video"));
    $("camera").addEventListener("click", () => this.toggle());
  }

  get on() {
    return this.camera.on;
  }

  async toggle() {
    if (this.on) {
      this.camera.stop();
    } else {
      try {
        await this.camera.start();
        this.look();
      } catch (error) {
        this.say(`No camera: ${error.message}`);
      }
    }
    $("live").hidden = !this.on;
    $("camera").textContent = this.on ? "Turn it off" : "Turn it on";
  }

  async look() {
    while (this.on) {
      const frame = await this.camera.frame(448);
      if (frame) {
        try {
          showGuess($("bars"), $("verdict"), await ask("guess", { method: "POST", body: frame }));
        } catch (error) {
          $("verdict").textContent = error.message;
        }
      }
      await new Promise((done) => setTimeout(done, GLANCE));
    }
  }

  /** A photo of what the camera sees, learned as a class. */
  async take(label) {
    const frame = await this.camera.frame(1024);
    if (!frame) return;
    try {
      await ask(`photos?${new URLSearchParams({ label })}`, { method: "POST", body: frame });
      this.say(`A photo of ${label}`);
    } catch (error) {
      this.say(error.message);
    }
    await this.taken();
  }
}
