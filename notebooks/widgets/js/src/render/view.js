// A view that the renderer in the kernel draws, from where the mouse moves the camera.
import { cameraChooser, resetButton } from "../camera/chooser.js";
import { KEYS_HELP } from "../camera/gestures.js";
import { OrbitCamera } from "../camera/orbit.js";
import { bytesOf, choice, h, short } from "../dom.js";
import { Frames } from "./frames.js";
import { unpack } from "./half.js";
import { Legend } from "./legend.js";
import css from "./render.css";

const TALLEST = 640; // CSS pixels of the stage
const SCALES = [
  [0, "as shown"], [0.125, "× 1/8"], [0.25, "× 1/4"], [0.5, "× 1/2"], [1, "× 1"], [2, "× 2"], [4, "× 4"], [8, "× 8"],
];
const ALONE = "Moving it needs a running kernel: this is the last picture.";

export async function showRender(panel) {
  panel.style("render", css);
  const view = new RenderView(panel);
  await view.begin();
  return () => view.end();
}

class RenderView {
  constructor(panel) {
    this.panel = panel;
    this.first = panel.get("_shown_about");
    this.size = this.#sizeOf(Math.max(0, panel.get("view")));
    this.camera = this.#camera();
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.says = h("div", { class: "sw-render-says", role: "status" });
    this.value = h("div", { class: "sw-render-value" });
    this.note = h("div", { class: "sw-note sw-numbers" });
    this.legend = new Legend();
    const shape = this.size.width / this.size.height;
    this.stage = h(
      "div",
      {
        class: "sw-stage sw-render-stage", role: "application", "aria-label": `rendered view. ${KEYS_HELP}`,
        tabindex: "0", style: { aspectRatio: `${shape}`, maxWidth: `${Math.round(TALLEST * shape)}px` },
      },
      this.canvas, this.note, this.value, this.says,
    );
    this.frames = new Frames(panel, {
      pose: () => this.pose(),
      draw: (answer, asked) => this.draw(answer, asked),
      say: (text, bad = false) => this.say(text, bad),
    });
  }

  async begin() {
    const { panel, camera, stage } = this;
    panel.root.append(this.#bar(), stage, this.#foot());
    await this.#show(bytesOf(panel.get("_shown")), this.first);
    if (panel.alone) {
      this.say(ALONE);
      return;
    }
    panel.onClose(camera.attach(stage));
    panel.onClose(() => camera.dispose());
    const observer = new ResizeObserver(() => this.#resized());
    observer.observe(stage);
    panel.onClose(() => observer.disconnect());
    this.#resized();
    camera.onChange((moving) => this.#moved(moving));
    for (const name of ["what", "antialiased", "near", "locked"]) panel.listen(`change:${name}`, () => this.#want(false));
    panel.listen("change:scale", () => this.#resized());
    panel.listen("change:view", () => this.#jump());
    stage.addEventListener("pointermove", (event) => this.#hover(event));
    stage.addEventListener("pointerleave", () => (this.value.textContent = ""));
    this.#want(false);
  }

  end() {
    this.numbers = null;
    this.canvas.width = 0;
  }

  say(text, bad = false) {
    this.says.textContent = text;
    this.says.toggleAttribute("data-bad", bad);
  }

  /** Where the camera is, the pixels of the whole picture, and what is to be drawn. */
  pose() {
    const { viewmat, K, width, height } = this.camera;
    const look = Object.fromEntries(["what", "antialiased", "near", "locked"].map((name) => [name, this.panel.get(name)]));
    return { viewmat, K, width, height, look };
  }

  async draw({ content, buffers }, asked) {
    await this.#show(bytesOf(buffers[0]), { ...content, ...asked });
    if (asked.moving) return;
    this.numbers = buffers[1] ? await unpack(bytesOf(buffers[1]), content.unit, content.width, content.height) : null;
    this.#tell();
    this.panel.changed(this.canvas, "image/png");
  }

  async #show(bytes, about) {
    const blob = new Blob([bytes], { type: about.mime });
    const image = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    if (this.panel.closed) return;
    this.canvas.width = image.width;
    this.canvas.height = image.height;
    this.canvas.getContext("2d").drawImage(image, 0, 0);
    image.close();
    this.numbers = null;
    this.value.textContent = "";
    const magnified = !about.moving && this.stage.clientWidth > 1.5 * this.canvas.width;
    this.stage.toggleAttribute("data-magnified", magnified);
    this.stage.dataset.shown = about.moving ? "moving" : "still";
    this.legend.show(about.legend);
    const time = about.seconds >= 0.0995 ? `${about.seconds.toFixed(1)} s` : `${Math.round(about.seconds * 1000)} ms`;
    this.note.textContent = `${about.width} × ${about.height} · ${time}`;
  }

  /** The camera where the first picture was taken, and where it can go from there. */
  #camera() {
    const { panel, first } = this;
    const start = panel.get("_start");
    const camera = new OrbitCamera({ ...start, fovY: start.fov });
    camera.resize(first.width, first.height);
    camera.setCameras(panel.get("_cameras"));
    const index = panel.get("view");
    if (index >= 0) camera.goTo(index, false);
    else camera.setView(first.viewmat, first.K, first.width, first.height, { fly: false });
    camera.pick = (x, y) => this.#depthAt(x, y);
    return camera;
  }

  #sizeOf(index) {
    const { width, height } = this.panel.get("_cameras")[index] ?? this.first;
    return { width, height };
  }

  /** The size of the picture: that of the screen, or so many pixels per pixel of the cameras. */
  #resized() {
    const scale = this.panel.get("scale");
    const wide = this.stage.clientWidth;
    const tall = this.stage.clientHeight;
    if (!wide || !tall) return;
    const part = scale ? scale * Math.max(this.size.width / wide, this.size.height / tall) : 1;
    const sides = scale
      ? [Math.round(this.size.width * scale), Math.round(this.size.height * scale)]
      : [Math.round(wide * part), Math.round(tall * part)];
    this.camera.resize(Math.max(1, sides[0]), Math.max(1, sides[1]));
  }

  #moved(moving) {
    this.#want(moving);
    const { index } = this.camera;
    if (index >= 0) this.size = this.#sizeOf(index);
    if (!moving || index >= 0) this.#tellIndex(index);
  }

  #want(moving) {
    this.stage.dataset.shown = "waiting";
    this.frames.want(moving);
  }

  #tellIndex(index) {
    if (index !== this.panel.get("view")) this.panel.set({ view: index });
  }

  #jump() {
    const index = this.panel.get("view");
    if (index >= 0 && index !== this.camera.index) this.camera.goTo(index);
  }

  async #depthAt(x, y) {
    const { viewmat, K, width, height, look } = this.pose();
    const answer = await this.frames.question({ type: "depth", ...look, viewmat: [...viewmat], K: [...K], width, height, x, y });
    return answer?.content.depth ?? null;
  }

  #hover(event) {
    const box = this.stage.getBoundingClientRect();
    this.cursor = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    this.#tell();
  }

  /** The number under the cursor. */
  #tell() {
    const { numbers, cursor } = this;
    if (!numbers || !cursor || this.camera.moving) {
      this.value.textContent = "";
      return;
    }
    const [x, y] = [Math.floor(cursor[0] * numbers.width), Math.floor(cursor[1] * numbers.height)];
    if (x < 0 || y < 0 || x >= numbers.width || y >= numbers.height) return;
    const value = numbers.at(x, y);
    this.value.textContent = `(${x}, ${y})  ${Number.isNaN(value) ? "nothing" : short(value)}`;
  }

  #bar() {
    const { panel } = this;
    const kinds = Object.entries(panel.get("kinds"));
    const parts = [];
    if (kinds.length > 1) {
      const what = choice("what is drawn", kinds, panel.get("what"), (value) => panel.set({ what: value }));
      panel.listen("change:what", () => (what.value = panel.get("what")));
      parts.push(what);
    }
    const scale = choice("pixels per pixel of the cameras", SCALES, panel.get("scale"), (v) => panel.set({ scale: Number(v) }));
    panel.listen("change:scale", () => (scale.value = String(panel.get("scale"))));
    parts.push(h("label", {}, "pixels", scale));
    if (panel.get("_adjustable")) {
      parts.push(this.#check("antialiased", "anti-aliased", "scale opacities by how much pixels blur a Gaussian"));
      parts.push(this.#near());
    }
    const bar = h(
      "div", { class: "sw-bar" }, ...parts, h("span", { class: "sw-space" }), cameraChooser(this.camera), resetButton(this.camera),
    );
    if (panel.alone) for (const control of bar.querySelectorAll("button, select, input")) control.disabled = true;
    return bar;
  }

  #check(name, text, title) {
    const { panel } = this;
    const box = h("input", { type: "checkbox", onchange: () => panel.set({ [name]: box.checked }) });
    box.checked = panel.get(name);
    panel.listen(`change:${name}`, () => (box.checked = panel.get(name)));
    return h("label", { title }, box, text);
  }

  #near() {
    const { panel } = this;
    const set = () => {
      const value = Number(input.value);
      if (value > 0 && Number.isFinite(value)) panel.set({ near: value });
      else input.value = panel.get("near");
    };
    const input = h("input", {
      type: "number", min: "0", step: "any", class: "sw-render-near", "aria-label": "near plane, world units", onchange: set,
    });
    input.value = panel.get("near");
    panel.listen("change:near", () => (input.value = panel.get("near")));
    return h("label", { title: "nothing nearer than this is drawn, world units" }, "near", input);
  }

  #foot() {
    const lock = this.#check("locked", "keep range", "colours go on meaning the same numbers");
    lock.querySelector("input").disabled = this.panel.alone;
    this.legend.element.append(lock);
    return this.legend.element;
  }
}
