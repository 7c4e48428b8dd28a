// Splats to walk around in: the picture, the cameras over it, their pictures below.
import * as pc from "playcanvas";
import { OrbitCamera } from "../camera/orbit.js";
import { KEYS_HELP } from "../camera/gestures.js";
import { axesOf } from "../camera/pose.js";
import { button, choice, h } from "../dom.js";
import { createApp } from "../gl/app.js";
import { hold, release } from "../gl/contexts.js";
import { blendInHalfFloats } from "../gl/half_floats.js";
import { colouring, legend } from "./colours.js";
import { Frustums } from "./frustums.js";
import { Gaussians } from "./gaussians.js";
import { SplatModel } from "./model.js";
import { Pace } from "./pace.js";
import css from "./splats.css";
import { Strip } from "./strip.js";

const REST = 400; // milliseconds without a move until everything is drawn, where that takes long
const CLICK = 4; // pixels that the mouse may move in a click

export async function showSplats(panel) {
  panel.style("splats", css);
  const view = new SplatScreen(panel);
  await view.start();
  return () => view.close();
}

class SplatScreen {
  constructor(panel) {
    this.panel = panel;
    this.model = new SplatModel(panel.get("data"), panel.get("layout_of_data"));
    this.cameras = panel.get("cameras");
    this.pace = new Pace(this.model.count);
    this.hovered = -1;
    this.resting = false; // everything is to be drawn
    this.shown = null; // what is drawn: { name, full, coarse }
    this.drawings = new Map(); // by quantity
    this.#build();
  }

  #build() {
    const { panel, cameras } = this;
    this.overlay = h("canvas", { "aria-hidden": true });
    this.note = h("div", { class: "sw-note", role: "status" });
    this.tip = h("div", { class: "sw-tip", hidden: true }, h("img", { alt: "" }), h("span"));
    this.outline = h("div", { class: "sw-frame", hidden: true });
    this.help = h("div", { class: "sw-help", hidden: true, text: KEYS_HELP });
    this.stage = h(
      "div",
      { class: "sw-stage", tabindex: 0, role: "application", "aria-label": `${panel.get("alt")}. ${KEYS_HELP}`, style: { height: `${panel.get("height")}px` } },
      this.overlay, this.outline, this.note, this.tip, this.help,
    );
    const quantities = [["", "colours"], ...[...this.model.quantities, "opacity", "scale"].map((name) => [name, name])];
    this.colour = choice("colour by", quantities, panel.get("color_by"), (name) => {
      panel.set({ color_by: name });
      this.#colour();
    });
    this.legend = h("span");
    this.frustumsButton = button("cameras", "show where the photos were taken", () => this.#toggleCameras(), { "aria-pressed": panel.get("show_cameras") });
    const bar = h(
      "div",
      { class: "sw-bar" },
      h("label", {}, "colour by", this.colour),
      this.legend,
      h("span", { class: "sw-space" }),
      cameras.length ? button("‹", "previous camera (P)", () => this.orbit.next(-1)) : null,
      cameras.length ? button("›", "next camera (N)", () => this.orbit.next(1)) : null,
      cameras.length ? this.frustumsButton : null,
      button("reset", "back to the first view (R)", () => this.orbit.reset()),
      button("?", "keys and mouse", () => this.#toggleHelp()),
    );
    panel.root.append(bar, this.stage);
    this.strip = new Strip(panel, cameras, (i) => this.orbit.goTo(i));
    if (cameras.length) panel.root.append(this.strip.element);
    this.frustums = new Frustums(this.overlay, cameras, panel.get("focus_point"));
  }

  async start() {
    await this.#open();
    if (this.panel.closed) return;
    this.watcher = new ResizeObserver(() => this.#resize());
    this.watcher.observe(this.stage);
    this.#listen();
    await this.#firstPicture();
    this.#rest();
  }

  /** Take a drawing context, and draw. */
  async #open() {
    const { panel } = this;
    this.canvas = h("canvas", { "aria-label": panel.get("alt"), role: "img" });
    this.stage.prepend(this.canvas);
    hold(this);
    const gl = await createApp(this.canvas, {
      background: panel.get("background"), systems: [pc.GSplatComponentSystem], handlers: [pc.GSplatHandler], far: 1e5,
    });
    if (panel.closed || this.gl) {
      gl.destroy();
      return;
    }
    this.gl = gl;
    this.gl.camera.camera.gammaCorrection = pc.GAMMA_SRGB; // colours of splats are sRGB, and stay so
    this.endBlending = blendInHalfFloats(this.gl);
    this.gl.onDrawn((took, whole) => this.#drawn(took, whole));
    if (!this.orbit) this.#startCamera();
    this.#colour();
    this.#resize();
  }

  /** Give the drawing context to others; a picture stays, and the first touch brings it back. */
  suspend() {
    if (!this.gl) return;
    this.stage.style.backgroundImage = `url(${this.canvas.toDataURL("image/jpeg", 0.9)})`;
    this.stage.style.backgroundSize = "100% 100%";
    this.#drop();
  }

  async #resume() {
    if (this.gl || this.opening || this.panel.closed) return;
    this.opening = true;
    await this.#open();
    await this.#firstPicture();
    this.#rest();
    this.stage.style.backgroundImage = "";
    this.opening = false;
  }

  #drop() {
    release(this);
    for (const { full, coarse } of this.drawings.values()) {
      full?.destroy();
      coarse?.destroy();
    }
    this.drawings.clear();
    this.shown = null;
    this.endBlending?.();
    this.gl?.destroy();
    this.gl = null;
    this.canvas?.remove();
  }

  #startCamera() {
    const { panel, cameras } = this;
    const { centre, radius } = this.model.bounds();
    const around = cameras.length ? panel.get("focus_point") : centre;
    this.orbit = new OrbitCamera({ up: panel.get("up"), target: around, distance: radius * 2.4 });
    this.orbit.setCameras(cameras);
    const kept = panel.get("viewmat");
    const first = panel.get("view");
    if (cameras.length) this.orbit.goTo(first >= 0 && first < cameras.length ? first : 0, false);
    else this.orbit.setHome();
    if (kept?.length === 16 && first < 0) this.orbit.setView(kept, null, 0, 0, { fly: false });
    this.orbit.onChange((moving) => this.#moved(moving));
    this.letGo = this.orbit.attach(this.stage);
    if (cameras.length) this.orbit.focus = panel.get("focus_point");
    this.orbit.pick = (x, y) => this.#depthAt(x, y);
  }

  #listen() {
    const { panel, stage } = this;
    panel.listen("change:view", () => {
      const index = panel.get("view");
      if (index >= 0 && index !== this.orbit.index) this.orbit.goTo(index);
    });
    panel.listen("change:color_by", () => {
      this.colour.value = panel.get("color_by");
      this.#colour();
    });
    panel.listen("change:background", () => this.gl?.setBackground(panel.get("background")));
    let start = null;
    const place = (event) => {
      const box = stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    stage.addEventListener("pointerdown", (event) => (start = place(event)));
    stage.addEventListener("pointerup", (event) => {
      const end = place(event);
      if (start && Math.hypot(end[0] - start[0], end[1] - start[1]) <= CLICK) {
        const found = this.frustums.find(...end);
        if (found >= 0) this.orbit.goTo(found);
      }
      start = null;
    });
    stage.addEventListener("pointermove", (event) => {
      if (!event.buttons) this.#hover(this.frustums.find(...place(event)));
    });
    stage.addEventListener("pointerleave", () => this.#hover(-1));
    for (const touch of ["pointerenter", "focus"]) {
      stage.addEventListener(touch, () => (this.gl ? hold(this) : this.#resume()));
    }
  }

  /** Wait until the Gaussians are sorted and drawn. */
  #firstPicture() {
    return new Promise((resolve) => {
      this.onSorted = () => {
        this.onSorted = null;
        const stop = this.gl.onDrawn((took, whole) => {
          if (!whole) return;
          stop();
          resolve();
        });
        this.gl.draw();
      };
    });
  }

  #colouringOptions() {
    return { maps: this.panel.get("color_maps"), labels: this.panel.get("labels") };
  }

  #drawing(name) {
    if (this.drawings.has(name)) return this.drawings.get(name);
    const { panel, model } = this;
    const made = (count) => {
      const colours = name ? colouring(model, name, { ...this.#colouringOptions(), count }) : null;
      const gaussians = new Gaussians(this.gl.app, model, {
        count, colours: colours?.colours, antialiased: panel.get("antialiased"),
        onSorted: () => {
          this.gl?.draw();
          this.onSorted?.();
        },
      });
      if (this.gl.deferred) gaussians.inParts(this.pace.part);
      return { gaussians, colours };
    };
    const drawing = { name, full: null, coarse: null, part: 0, make: made };
    // One colouring beside the splats' own is kept; each holds a copy of the model on the GPU.
    for (const [other, { full, coarse }] of this.drawings) {
      if (other === "" || other === name) continue;
      full?.destroy();
      coarse?.destroy();
      this.drawings.delete(other);
    }
    this.drawings.set(name, drawing);
    return drawing;
  }

  #colour() {
    if (!this.gl) {
      this.#resume();
      return;
    }
    const name = this.panel.get("color_by");
    for (const gaussians of [this.shown?.full, this.shown?.coarse]) if (gaussians) gaussians.visible = false;
    this.shown = this.#drawing(name);
    const { maps, labels } = this.#colouringOptions();
    this.legend.replaceChildren(name ? legend(colouring(this.model, name, { maps, labels, count: 1 })) : "");
    if (this.orbit.width > 1) this.#fit();
  }

  /** Sizes of canvas and camera from the size on the page. */
  #resize() {
    const { clientWidth, clientHeight } = this.stage;
    if (!clientWidth || !clientHeight) return;
    this.orbit.resize(clientWidth, clientHeight);
    this.#fit();
  }

  /** As many pixels and Gaussians as the pace allows. */
  #fit() {
    if (!this.gl) {
      this.#resume();
      return;
    }
    const { width, height } = this.orbit;
    const { scale, part } = this.resting ? { scale: 1, part: 1 } : this.pace.now;
    const ratio = Math.min(2, globalThis.devicePixelRatio || 1) * scale;
    this.gl.resize(Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio)));
    const { shown } = this;
    const few = part < 1;
    if (few && shown.part !== part) {
      shown.coarse?.destroy();
      shown.coarse = shown.make(Math.round(this.model.count * part)).gaussians;
      shown.part = part;
    }
    if (!few && !shown.full) shown.full = shown.make(this.model.count).gaussians;
    if (shown.coarse) shown.coarse.visible = few;
    if (shown.full) shown.full.visible = !few;
    this.gl.source = this.#gaussians;
    this.panel.root.dataset.drawn = "";
    this.#pose();
  }

  #pose() {
    if (!this.gl) return;
    const { orbit } = this;
    const { viewmat, K, width, height } = orbit;
    this.gl.setPose(viewmat, K, width, height);
    this.#drawCameras();
  }

  /** What lies over the picture: frustums, and the frame of the camera that is shown. */
  #drawCameras() {
    const { orbit } = this;
    const { viewmat, K, width, height } = orbit;
    const state = { current: orbit.index, hovered: this.hovered, visible: this.panel.get("show_cameras") };
    this.frustums.draw(viewmat, K, width, height, Math.min(2, globalThis.devicePixelRatio || 1), state);
    const frame = orbit.index >= 0 ? orbit.frame : null;
    this.outline.hidden = !frame || !this.panel.get("show_cameras");
    if (frame) {
      for (const [side, value] of [["left", frame.x], ["top", frame.y], ["width", frame.width], ["height", frame.height]]) {
        this.outline.style[side] = `${value}px`;
      }
    }
  }

  #moved(moving) {
    if (moving && !this.wasMoving) this.#hover(-1);
    this.wasMoving = moving;
    if (moving) {
      clearTimeout(this.restTimer);
      if (this.resting) {
        this.resting = false;
        this.#fit();
      } else this.#pose();
    } else this.#rest();
    this.strip.mark(this.orbit.index);
    this.#say();
  }

  /** Draw everything: at once, or after a while where that takes long. */
  #rest() {
    clearTimeout(this.restTimer);
    this.restTimer = setTimeout(() => {
      this.resting = true;
      this.#fit();
    }, this.pace.level ? REST : 0);
  }

  /** A frame, or a part of one, is finished. */
  #drawn(took, whole) {
    if (this.resting) {
      this.#gaussians.inParts(this.pace.partTook(took, this.#gaussians.last));
      if (whole) this.#settle();
      this.#say();
    } else if (this.pace.took(took) && this.orbit.moving) this.#fit();
  }

  /** The Gaussians that are drawn now. */
  get #gaussians() {
    const { full, coarse } = this.shown;
    return coarse?.visible ? coarse : full;
  }

  /** Tell the kernel what is shown, and keep a picture of it. */
  #settle() {
    const { orbit, panel } = this;
    if (!this.gl || orbit.moving || panel.closed || this.#gaussians.pending) return;
    panel.root.dataset.drawn = "all";
    const ratio = this.canvas.width / orbit.width;
    const K = Array.from(orbit.K, (k, i) => (i < 6 ? k * ratio : k));
    const now = { view: orbit.index, viewmat: Array.from(orbit.viewmat), K, size: [this.canvas.width, this.canvas.height] };
    if (JSON.stringify(now) !== this.told) {
      this.told = JSON.stringify(now);
      panel.set(now);
    }
    panel.changed(this.canvas);
  }

  #say() {
    const { index } = this.orbit;
    const where = index >= 0 ? this.cameras[index].name : "";
    const count = `${this.model.count.toLocaleString("en")} Gaussians`;
    const done = this.resting && this.gl && !this.gl.whole ? `drawing all: ${Math.round(100 * this.#gaussians.done)} %` : "";
    this.note.textContent = [where, count, ...this.panel.get("notes"), done].filter(Boolean).join(" · ");
  }

  #hover(index) {
    if (index !== this.hovered) {
      this.hovered = index;
      this.#drawCameras();
      this.stage.style.cursor = index >= 0 ? "pointer" : "";
    }
    this.tip.hidden = index < 0;
    if (index < 0) return;
    this.strip.want(index);
    const [x, y] = this.frustums.at[index];
    this.tip.style.left = `${x}px`;
    this.tip.style.top = `${Math.max(y, 120)}px`;
    const [picture, name] = this.tip.children;
    const url = this.strip.url(index);
    picture.hidden = !url;
    if (url) picture.src = url;
    name.textContent = this.cameras[index].name;
  }

  /** Depth of what is seen at a pixel: of the nearest opaque Gaussian whose centre is close by. */
  #depthAt(x, y) {
    const { viewmat, K } = this.orbit;
    const { eye } = axesOf(viewmat);
    const [mx, my, mz] = [0, 1, 2].map((axis) => (this.means ??= [0, 1, 2].map((a) => this.model.column("means", a)))[axis]);
    const opacity = (this.opacity ??= this.model.quantity("opacity"));
    const m = viewmat;
    let best = null;
    let least = Infinity;
    for (let i = 0; i < mx.length; i++) {
      const z = m[8] * mx[i] + m[9] * my[i] + m[10] * mz[i] + m[11];
      if (z <= 0 || opacity[i] < 0.3) continue;
      const u = (K[0] * (m[0] * mx[i] + m[1] * my[i] + m[2] * mz[i] + m[3])) / z + K[2];
      const v = (K[4] * (m[4] * mx[i] + m[5] * my[i] + m[6] * mz[i] + m[7])) / z + K[5];
      const away = Math.hypot(u - x, v - y);
      if (away > 12) continue;
      const score = z * (1 + away / 12);
      if (score < least) [best, least] = [z, score];
    }
    return best;
  }

  #toggleCameras() {
    const on = !this.panel.get("show_cameras");
    this.panel.set({ show_cameras: on });
    this.frustumsButton.setAttribute("aria-pressed", on);
    this.#drawCameras();
  }

  #toggleHelp() {
    this.help.hidden = !this.help.hidden;
  }

  close() {
    this.watcher?.disconnect();
    this.letGo?.();
    this.orbit?.dispose();
    this.#drop();
  }
}
