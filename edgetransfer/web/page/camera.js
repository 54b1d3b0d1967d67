// The camera, one frame at a time. Frames leave the browser for this server alone.

export class Camera {
  constructor(video) {
    this.video = video;
    this.stream = null;
    this.canvas = document.createElement("canvas");
  }

  get on() {
    return this.stream !== null;
  }

  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("the browser gives the camera to pages of https or localhost alone");
    }
    const video = { facingMode: "environment", width: { ideal: 640 } };
    this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /** A JPEG of what the camera sees, its longer side at most so many pixels; null before it does. */
  async frame(side) {
    const { videoWidth, videoHeight } = this.video;
    if (!this.on || !videoWidth) return null;
    const scale = Math.min(1, side / Math.max(videoWidth, videoHeight));
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((done) => this.canvas.toBlob(done, "image/jpeg", 0.9));
  }
}

/** Fills a list with classes and their probabilities. */
export function showGuess(list, verdict, guess, most = 4) {
  const found = Object.entries(guess.classes).slice(0, most);
  if (!found.length) {
    verdict.textContent = "Nothing was learned yet";
  } else if (guess.unknown) {
    verdict.textContent = "None of the classes, it seems";
  } else {
    verdict.textContent = `${found[0][0]}, ${percent(found[0][1])}`;
  }
  list.replaceChildren(...found.map(([name, probability]) => {
    const item = document.createElement("li");
    const label = document.createElement("span");
    label.className = "name";
    label.textContent = name;
    const share = document.createElement("span");
    share.textContent = percent(probability);
    const meter = document.createElement("meter");
    meter.value = probability;
    meter.setAttribute("aria-label", name);
    item.append(label, share, meter);
    return item;
  }));
}

export function percent(share) {
  return `${(100 * share).toFixed(share > 0.995 && share < 1 ? 1 : 0)} %`;
}
