// Gaussians from far to near, exactly, in a thread of its own.
//
// PlayCanvas's own sorter counts into n / 4 bins over the whole depth of a scene. A few Gaussians far
// away, as every trained scene has, leave all others in a handful of bins, and what is behind shines
// through as a haze. This one sorts the float32 depths themselves, as rasterisers do.
import * as pc from "playcanvas";

/** Runs in the worker: centres once, then a camera at a time; answers with the order. */
function work(self) {
  let centres, depths, keys, order, spare;
  const histogram = new Uint32Array(65536);
  const NEAR = 0.01; // world units: the near plane of the renderer

  function pass(from, to, shift) {
    histogram.fill(0);
    for (let i = 0; i < from.length; i++) histogram[(keys[from[i]] >>> shift) & 65535]++;
    let sum = 0;
    for (let i = 0; i < 65536; i++) {
      const count = histogram[i];
      histogram[i] = sum;
      sum += count;
    }
    for (let i = 0; i < from.length; i++) to[histogram[(keys[from[i]] >>> shift) & 65535]++] = from[i];
  }

  self.onmessage = ({ data }) => {
    if (data.centres) {
      centres = data.centres;
      const n = centres.length / 3;
      depths = new Float32Array(n);
      keys = new Uint32Array(depths.buffer);
      order = new Uint32Array(n);
      spare = new Uint32Array(n);
      return;
    }
    const { position: p, backward: b } = data;
    const n = depths.length;
    const shift = p[0] * b[0] + p[1] * b[1] + p[2] * b[2];
    let ahead = 0;
    const near = -NEAR;
    for (let i = 0, j = 0; i < n; i++, j += 3) {
      const behind = centres[j] * b[0] + centres[j + 1] * b[1] + centres[j + 2] * b[2] - shift;
      depths[i] = behind;
      if (behind <= near) ahead++;
      // Bits of a float as an integer of the same order.
      keys[i] ^= behind < 0 || Object.is(behind, -0) ? 0xffffffff : 0x80000000;
      order[i] = n - 1 - i;
    }
    pass(order, spare, 0);
    pass(spare, order, 16);
    const sorted = order.slice(0, ahead);
    self.postMessage(sorted, [sorted.buffer]);
  };
}

/** What a GSplatInstance asks of its sorter. */
export class DepthSorter extends pc.EventHandler {
  constructor(texture, centres) {
    super();
    this.texture = texture;
    this.order = null; // the latest, from far to near
    this.at = 0; // how many of it have been drawn of the picture that is being drawn
    this.limit = Infinity; // how many are drawn at once
    this.held = null; // what the texture holds: { order, from, to }
    this.next = null; // the latest camera, while the worker is busy with another
    this.busy = false;
    this.address = URL.createObjectURL(new Blob([`(${work})(self)`], { type: "text/javascript" }));
    this.worker = new Worker(this.address);
    this.worker.onmessage = ({ data }) => this.#done(data);
    this.worker.postMessage({ centres }, [centres.buffer]);
  }

  setCamera(position, backward) {
    this.next = { position: [position.x, position.y, position.z], backward: [backward.x, backward.y, backward.z] };
    this.#send();
  }

  #send() {
    if (this.busy || !this.next) return;
    this.busy = true;
    this.worker.postMessage(this.next);
    this.next = null;
  }

  #done(order) {
    this.busy = false;
    this.order = order;
    this.at = 0;
    this.#send();
    this.fire("updated");
  }

  /** Begin a picture: what is drawn next is the farthest part. */
  start() {
    this.at = 0;
  }

  /** Whether the part that is drawn next is the first and the last of its picture. */
  get part() {
    return { first: this.at === 0, last: !this.order || this.at + this.limit >= this.order.length };
  }

  /**
   * Put the next part of the order into its texture; the number of Gaussians in it, or -1 if it is
   * there already. PlayCanvas calls this for every frame.
   */
  applyPendingSorted() {
    if (!this.order) return -1;
    const { order, at: from } = this;
    const to = Math.min(order.length, from + this.limit);
    this.at = to;
    const { held } = this;
    if (held && held.order === order && held.from === from && held.to === to) return -1;
    this.held = { order, from, to };
    this.texture.lock().set(order.subarray(from, to));
    this.texture.unlock();
    return to - from;
  }

  /** True while the order is not that of the last camera. */
  get sorting() {
    return this.busy || this.next !== null || this.order === null;
  }

  /** True while the order that is drawn is not that of the last camera. */
  get pending() {
    return this.sorting || this.held?.order !== this.order;
  }

  destroy() {
    this.worker.terminate();
    URL.revokeObjectURL(this.address);
    this.off();
  }
}
