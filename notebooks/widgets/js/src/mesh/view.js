// A viewer for meshes.
import { cameraChooser, resetButton } from "../camera/chooser.js";
import { KEYS_HELP } from "../camera/gestures.js";
import { OrbitCamera } from "../camera/orbit.js";
import { axesOf, sub, unproject } from "../camera/pose.js";
import { button, choice, h } from "../dom.js";
import { hit, partOf } from "./geometry.js";
import css from "./mesh.css";
import { MeshStage } from "./stage.js";

export async function showMesh(panel) {
  panel.style("mesh", css);
  const view = new MeshView(panel);
  await view.begin();
  return () => view.end();
}

class MeshView {
  constructor(panel) {
    this.panel = panel;
    this.parts = panel.get("_parts").map(partOf);
    this.start = panel.get("_start");
    this.camera = this.#camera();
    const vertices = this.parts.reduce((sum, part) => sum + part.vertices.length / 3, 0);
    const faces = this.parts.reduce((sum, part) => sum + part.faces.length / 3, 0);
    const count = (n) => n.toLocaleString("en");
    this.note = h("div", { class: "sw-note sw-numbers", text: `${count(vertices)} vertices · ${count(faces)} faces` });
    this.lost = h(
      "div", { class: "sw-mesh-lost", role: "status", hidden: true },
      "The browser has taken back what it drew with.", button("draw again", "draw the mesh again", () => this.#again()),
    );
    this.stage = h(
      "div",
      { class: "sw-stage sw-mesh-stage", role: "application", tabindex: "0", "aria-label": `mesh. ${KEYS_HELP}` },
      this.note, this.lost,
    );
  }

  async begin() {
    const { panel, camera, stage } = this;
    panel.root.append(this.#bar(), stage);
    await this.#build();
    camera.onChange((moving) => this.#moved(moving));
    panel.onClose(camera.attach(stage));
    panel.onClose(() => camera.dispose());
    for (const name of ["shading", "wireframe", "background"]) panel.listen(`change:${name}`, () => this.#shade());
    panel.listen("change:view", () => {
      const index = panel.get("view");
      if (index >= 0 && index !== camera.index) camera.goTo(index);
    });
    this.#settled();
    this.#draw();
  }

  end() {
    this.mesh?.destroy();
    this.parts = [];
  }

  /** A canvas with the mesh on it; drawn once before it is shown. */
  async #build() {
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.stage.prepend(this.canvas);
    this.canvas.addEventListener("webglcontextlost", () => (this.lost.hidden = false));
    this.canvas.addEventListener("webglcontextrestored", () => (this.lost.hidden = true));
    const { center, radius } = this.start;
    this.mesh = await MeshStage.make(this.canvas, this.parts, center, radius);
    if (this.panel.closed) return this.end();
    this.mesh.gl.follow(this.stage, (width, height) => this.camera.resize(width, height));
    this.#shade();
    await new Promise((done) => {
      const stop = this.mesh.gl.onDrawn(() => {
        stop();
        done();
      });
      this.#draw();
      setTimeout(done, 3000); // a page in the background draws nothing
    });
  }

  async #again() {
    this.mesh.destroy();
    this.canvas.remove();
    this.lost.hidden = true;
    await this.#build();
  }

  #camera() {
    const { panel, start } = this;
    const camera = new OrbitCamera({ ...start, fovY: start.fov });
    camera.setCameras(panel.get("_cameras"));
    camera.setHome();
    const index = panel.get("view");
    if (index >= 0) camera.goTo(index, false);
    camera.pick = (x, y) => this.#depthAt(x, y);
    return camera;
  }

  #depthAt(x, y) {
    const { viewmat, K } = this.camera;
    const { eye } = axesOf(viewmat);
    return hit(this.parts, eye, sub(unproject(x, y, 1, viewmat, K), eye));
  }

  #moved(moving) {
    this.#draw();
    if (!moving) this.#settled();
  }

  #settled() {
    const { camera, panel } = this;
    panel.set({ view: camera.index, _viewmat: [...camera.viewmat] });
    panel.changed(this.canvas);
  }

  #draw() {
    this.mesh?.look(this.camera);
  }

  #shade() {
    const { panel } = this;
    const [shading, wireframe, background] = ["shading", "wireframe", "background"].map((name) => panel.get(name));
    this.mesh.shade({ shading, wireframe, background, rgb: panel.get("_backgrounds")[background] });
    panel.changed(this.canvas);
  }

  #bar() {
    const { panel } = this;
    const flat = this.parts.every((part) => !part.uv);
    const kinds = Object.entries(panel.get("_shadings")).filter(([name]) => name !== "checker" || !flat);
    const shading = choice("shading", kinds, panel.get("shading"), (value) => panel.set({ shading: value }));
    panel.listen("change:shading", () => (shading.value = panel.get("shading")));
    const edges = h("input", { type: "checkbox", onchange: () => panel.set({ wireframe: edges.checked }) });
    edges.checked = panel.get("wireframe");
    panel.listen("change:wireframe", () => (edges.checked = panel.get("wireframe")));
    const ground = choice(
      "background", [["dark", "dark ground"], ["light", "light ground"]], panel.get("background"),
      (value) => panel.set({ background: value }),
    );
    panel.listen("change:background", () => (ground.value = panel.get("background")));
    return h(
      "div", { class: "sw-bar" }, shading, h("label", { title: "draw the edges of faces" }, edges, "edges"), ground,
      h("span", { class: "sw-space" }), cameraChooser(this.camera), resetButton(this.camera),
    );
  }
}
