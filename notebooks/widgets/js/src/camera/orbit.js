// A camera that mouse, fingers and keys move about a target, and that jumps to cameras of a capture.
import {
  across, add, axesOf, axesOfQuaternion, cross, dot, fitted, length, lensOf, lookAt, mix, quaternionOf,
  scaled, slerp, sub, turnedAxes, unit, unproject, viewmatOf,
} from "./pose.js";
import { listenTo } from "./gestures.js";

const SETTLED = 150; // milliseconds from the last input until the camera counts as still
const FLIGHT = 380; // milliseconds of a flight between cameras
const POLE = 0.01; // radians: as near as an orbit comes to looking straight up or down

/**
 * The camera is where `viewmat` says: world-to-camera, 16 numbers row-major, OpenCV axes. It looks
 * along `forward` at `target`, which is `distance` away. Image positions are pixels of the stage
 * (`width` x `height`, see resize), whose intrinsics are `K` (9 numbers).
 *
 *     const camera = new OrbitCamera({ up: [0, -1, 0], target: [0, 0, 0], distance: 3 });
 *     camera.resize(640, 480);
 *     camera.setCameras([{ viewmat, K, width, height, name }, ...]); // of the capture
 *     camera.onChange((moving) => draw(camera.viewmat, camera.K));
 *     camera.attach(stage); // an element that takes focus, mouse, touch and keys
 */
export class OrbitCamera {
  #calls = new Set();
  #pick = null;
  #exact = null; // the viewmat that was given, as long as nothing moves
  #lens; // { K, width, height } of the picture that the stage shows whole
  #home = null;
  #flight = null;
  #frame = 0;
  #timer = 0;
  #last = -1; // the camera of the capture where `next` goes on

  /** `up` is away from the ground; `fovY` the angle of the shorter side, radians; `pick` see below. */
  constructor({ up = [0, -1, 0], target = [0, 0, 0], distance = 1, fovY = Math.PI / 4, eye = null, pick = null } = {}) {
    this.up = unit(up);
    this.target = [...target];
    this.distance = eye ? length(sub(target, eye)) : distance;
    this.width = 1;
    this.height = 1;
    this.cameras = [];
    this.index = -1; // the camera of the capture that is shown as it was taken; -1: moved away
    this.moving = false;
    this.focus = [...target]; // what `goTo` orbits about afterwards, where it lies ahead
    this.#lens = { K: lensOf(fovY, 1, 1), width: 1, height: 1 };
    this.#pick = pick;
    const level = across(this.up);
    this.axes = lookAt(eye ?? add(this.target, add(scaled(level, -1), scaled(this.up, 0.4))), this.target, this.up);
  }

  /** World-to-camera. What was given to setView comes back as it was until something moves. */
  get viewmat() {
    return this.#exact ? Float64Array.from(this.#exact) : viewmatOf({ ...this.axes, eye: this.eye });
  }

  get eye() {
    return sub(this.target, scaled(this.axes.forward, this.distance));
  }

  /** Intrinsics for the stage: the whole picture of the last camera, as large as can be. */
  get K() {
    const { K, width, height } = this.#lens;
    return fitted(K, width, height, this.width, this.height);
  }

  /** The angle from the top to the bottom of the stage, radians. */
  get fovY() {
    const K = this.K;
    return Math.atan(K[5] / K[4]) + Math.atan((this.height - K[5]) / K[4]);
  }

  /** Take a lens of its own: `fov` radians over the shorter side of the stage. */
  set fov(fov) {
    this.#lens = { K: lensOf(fov, 1, 1), width: 1, height: 1 };
    this.touch();
  }

  /** Where the picture of the last camera lies in the stage: { x, y, width, height }; null: all. */
  get frame() {
    const { width, height } = this.#lens;
    if (width === 1 && height === 1) return null;
    const s = Math.min(this.width / width, this.height / height);
    const [w, h] = [width * s, height * s];
    return { x: (this.width - w) / 2, y: (this.height - h) / 2, width: w, height: h };
  }

  /** Tell the size of the stage, pixels. */
  resize(width, height) {
    if (width === this.width && height === this.height) return;
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    this.#tell();
  }

  /** Call with `moving` at every change, and with false when it has been still for a moment. */
  onChange(call) {
    this.#calls.add(call);
    return () => this.#calls.delete(call);
  }

  /**
   * Set what a double click asks: `pick(x, y)` gives (a promise of) the depth along the optical axis
   * at a pixel of the stage, or null where nothing is.
   */
  set pick(pick) {
    this.#pick = pick;
  }

  // Jumps -----------------------------------------------------------------------------------------

  /** The cameras of the capture: { viewmat, K, width, height, name }. */
  setCameras(cameras) {
    this.cameras = cameras;
  }

  /**
   * Be where a camera is, exactly. `K`, `width` and `height` may be left out to keep the lens.
   * `fly`: on the way there, show the way; `distance`: to the target, which lies ahead.
   */
  setView(viewmat, K = null, width = 0, height = 0, { fly = true, distance = null, index = -1 } = {}) {
    const { eye, ...axes } = axesOf(viewmat);
    const ahead = dot(sub(this.focus, eye), axes.forward);
    const away = distance ?? (ahead > 1e-6 * this.distance ? ahead : this.distance);
    const lens = K ? { K: Float64Array.from(K), width, height } : this.#lens;
    const target = add(eye, scaled(axes.forward, away));
    const goal = { axes, target, distance: away, lens, exact: Float64Array.from(viewmat), index };
    this.#home ??= goal;
    this.#go(goal, fly);
  }

  /** Jump to a camera of the capture. */
  goTo(index, fly = true) {
    const camera = this.cameras[index];
    if (!camera) return;
    this.#last = index;
    this.setView(camera.viewmat, camera.K, camera.width, camera.height, { fly, index });
  }

  /** Jump `step` cameras further in the capture, around its end. */
  next(step = 1) {
    const count = this.cameras.length;
    if (!count) return;
    const from = this.#last < 0 ? (step > 0 ? -1 : 0) : this.#last;
    this.goTo((((from + step) % count) + count) % count);
  }

  /** What `reset` comes back to: the view as it is now. Otherwise it is the first one that was set. */
  setHome() {
    this.#home = this.#state();
  }

  reset() {
    if (this.#home) this.#go(this.#home, true);
  }

  /** Turn towards a point of the world, from where the camera is. */
  turnTo(point, fly = true) {
    const { eye, ...axes } = lookAt(this.eye, point, this.up);
    const distance = length(sub(point, eye));
    if (!(distance > 0)) return;
    this.focus = [...point];
    this.#go({ axes, target: [...point], distance, lens: this.#lens, exact: null, index: -1 }, fly);
  }

  /** Look at what is at a pixel of the stage. */
  async pickAt(x, y) {
    const depth = this.#pick ? await this.#pick(x, y) : this.distance;
    if (depth > 0 && Number.isFinite(depth)) this.turnTo(unproject(x, y, depth, this.viewmat, this.K));
  }

  // Moves -----------------------------------------------------------------------------------------

  /** Go around the target: `yaw` to the right about up, `pitch` upwards; radians. */
  orbitBy(yaw, pitch) {
    const side = cross(this.axes.forward, this.up);
    const level = length(side) > 1e-6 ? unit(side) : this.axes.right;
    const angle = Math.acos(Math.min(1, Math.max(-1, dot(this.axes.forward, this.up))));
    const least = Math.min(POLE, angle);
    const most = Math.max(Math.PI - POLE, angle);
    const tilt = angle - Math.min(most, Math.max(least, angle + pitch));
    this.axes = turnedAxes(turnedAxes(this.axes, level, tilt), this.up, yaw);
    this.touch();
  }

  /** Move the picture by pixels, as if what is at the target's depth were held. */
  panBy(dx, dy) {
    const K = this.K;
    const { right, down } = this.axes;
    const shift = add(scaled(right, (-dx / K[0]) * this.distance), scaled(down, (-dy / K[4]) * this.distance));
    this.target = add(this.target, shift);
    this.touch();
  }

  /** Come nearer (`factor` < 1) or go away; what is at a pixel and the target's depth stays there. */
  zoomBy(factor, x = null, y = null) {
    const K = this.K;
    const held = unproject(x ?? K[2], y ?? K[5], this.distance, this.viewmat, K);
    this.target = add(held, scaled(sub(this.target, held), factor));
    this.distance *= factor;
    this.touch();
  }

  /** Fly along the camera's own axes, in distances to the target. */
  flyBy(right, down, forward) {
    const { axes, distance } = this;
    const parts = [scaled(axes.right, right), scaled(axes.down, down), scaled(axes.forward, forward)];
    this.target = add(this.target, scaled(parts.reduce(add), distance));
    this.touch();
  }

  /** The view is no longer one that was set: to be called when the fields were changed by hand. */
  touch() {
    this.#flight = null;
    this.#exact = null;
    this.index = -1;
    this.#tell();
  }

  /** Take mouse, touch, wheel and keys of an element; returns what lets go of it. */
  attach(element) {
    return listenTo(element, this);
  }

  dispose() {
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#flight = null;
    this.#calls.clear();
  }

  #state() {
    const { axes, target, distance, index } = this;
    return { axes, target: [...target], distance, lens: this.#lens, exact: this.viewmat, index };
  }

  #go(goal, fly) {
    const still = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches;
    if (!fly || still) {
      this.#arrive(goal);
      return;
    }
    const from = { ...this.#state(), K: this.K, start: performance.now() };
    this.#flight = { goal, from, turn: [quaternionOf(from.axes), quaternionOf(goal.axes)] };
    cancelAnimationFrame(this.#frame);
    this.#fly();
  }

  #fly = () => {
    if (!this.#flight) return;
    const { goal, from, turn } = this.#flight;
    const passed = Math.min(1, (performance.now() - from.start) / FLIGHT);
    if (passed >= 1) {
      this.#arrive(goal);
      return;
    }
    const t = passed * passed * (3 - 2 * passed);
    const { K, width, height } = goal.lens;
    const there = fitted(K, width, height, this.width, this.height);
    this.axes = axesOfQuaternion(slerp(turn[0], turn[1], t));
    this.target = mix(from.target, goal.target, t);
    this.distance = from.distance ** (1 - t) * goal.distance ** t;
    this.#lens = { K: from.K.map((k, i) => k + (there[i] - k) * t), width: this.width, height: this.height };
    this.#exact = null;
    this.index = -1;
    this.#tell();
    this.#frame = requestAnimationFrame(this.#fly);
  };

  #arrive({ axes, target, distance, lens, exact, index }) {
    this.#flight = null;
    this.axes = axes;
    this.target = [...target];
    this.distance = distance;
    this.#lens = lens;
    this.#exact = exact;
    this.index = index;
    this.#tell();
  }

  #tell() {
    this.moving = true;
    for (const call of this.#calls) call(true);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.moving = false;
      for (const call of this.#calls) call(false);
    }, SETTLED);
  }
}
