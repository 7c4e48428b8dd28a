// Pictures from the kernel: one in flight, the latest pose wins, fewer pixels while the camera moves.

const WANTED = 1 / 15; // seconds from pose to picture while the camera moves
const BUSY = 2000; // milliseconds without an answer until the kernel counts as busy
const LEAST = 1 / 8; // of width and height

/**
 * Asks for pictures. `pose()` gives { viewmat, K, width, height } of the whole picture, and `look`,
 * what else the kernel is to know; `draw(answer,
 * asked)` shows one; `say(text, bad)` tells in a line what is wrong, and "" when nothing is.
 */
export class Frames {
  #panel;
  #calls;
  #flying = false;
  #wanted = null; // null, "moving" or "still"
  #timer = 0;
  #gone = false;
  #part = 1 / 2; // of width and height, while the camera moves

  constructor(panel, calls) {
    this.#panel = panel;
    this.#calls = calls;
    // Jupyter tells this when the kernel is no more, or is another one.
    panel.listen("comm_live_update", () => this.#end());
    panel.onClose(() => clearTimeout(this.#timer));
  }

  /** The parts of width and height that are asked for while the camera moves. */
  get part() {
    return this.#part;
  }

  /** Ask for a picture of the pose as it is when the kernel has time. */
  want(moving) {
    if (this.#gone) return;
    this.#wanted = moving ? "moving" : "still";
    if (!this.#flying) this.#next();
  }

  /** Ask the kernel something else, when no picture is on its way; null where it cannot be asked. */
  async question(content) {
    if (this.#gone || this.#flying) return null;
    return this.#ask(content);
  }

  async #ask(content) {
    this.#flying = true;
    this.#timer = setTimeout(() => this.#calls.say("The kernel is busy. The picture follows when it is free."), BUSY);
    const answer = await this.#panel.ask(content);
    clearTimeout(this.#timer);
    this.#flying = false;
    if (this.#panel.closed) return null;
    this.#calls.say(answer?.content.error ?? "", Boolean(answer?.content.error));
    if (this.#wanted) queueMicrotask(() => this.#wanted && !this.#flying && this.#next());
    return answer?.content.error ? null : answer;
  }

  async #next() {
    const moving = this.#wanted === "moving";
    this.#wanted = null;
    const { look, ...whole } = this.#calls.pose();
    const asked = moving ? smaller(whole, this.#part) : whole;
    const start = performance.now();
    const answer = await this.#ask({
      type: "frame", moving, ...look, viewmat: [...asked.viewmat], K: [...asked.K], width: asked.width, height: asked.height,
    });
    if (!answer) return;
    if (moving) this.#adapt((performance.now() - start) / 1000);
    await this.#calls.draw(answer, { ...asked, moving });
  }

  /** Pixels take time in proportion to their number, or to nothing that this could change. */
  #adapt(seconds) {
    const step = Math.sqrt(WANTED / Math.max(seconds, 1e-3));
    this.#part = Math.min(1, Math.max(LEAST, this.#part * Math.min(1.25, Math.max(0.6, step))));
  }

  #end() {
    this.#gone = true;
    this.#wanted = null;
    clearTimeout(this.#timer);
    this.#calls.say("The kernel that drew this is gone. Run the cell again to move the picture.", true);
  }
}

/** A pose with a part of the pixels; K has the true ratio of each axis. */
export function smaller({ viewmat, K, width, height }, part) {
  const w = Math.max(1, Math.round(width * part));
  const h = Math.max(1, Math.round(height * part));
  const [x, y] = [w / width, h / height];
  return { viewmat, K: [K[0] * x, K[1] * x, K[2] * x, 0, K[4] * y, K[5] * y, 0, 0, 1], width: w, height: h };
}
