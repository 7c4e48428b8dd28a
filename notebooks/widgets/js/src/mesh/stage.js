// A mesh on a canvas: what PlayCanvas holds of it, and how it is shaded.
import * as pc from "playcanvas";
import { length, sub } from "../camera/pose.js";
import { createApp } from "../gl/app.js";
import { makeMesh } from "./geometry.js";
import { MODES, makeMaterial, makeTexture, whiteTexture } from "./material.js";

const INK = { dark: [0.05, 0.06, 0.08], light: [0.05, 0.06, 0.08], darkLines: [0.75, 0.8, 0.86] };

export class MeshStage {
  static async make(canvas, parts, center, radius) {
    let gl;
    try {
      gl = await createApp(canvas, { antialias: true });
    } catch (error) {
      throw new Error(`this browser gives no WebGL 2, which the mesh viewer draws with (${error.message})`);
    }
    const stage = new MeshStage(gl, center, radius);
    for (const part of parts) await stage.#add(part);
    return stage;
  }

  constructor(gl, center, radius) {
    Object.assign(this, { gl, center, radius, solids: [], lines: [] });
    this.root = new pc.Entity("mesh", gl.app);
    gl.app.root.addChild(this.root);
  }

  async #add(part) {
    const { device } = this.gl;
    const texture = part.texture ? await makeTexture(device, part.texture, part.repeats) : whiteTexture(device);
    const mesh = makeMesh(device, part);
    const material = makeMaterial(texture, part);
    material.depthBias = 1; // faces lie behind their own edges
    material.slopeDepthBias = 1;
    const ink = makeMaterial(texture, part);
    ink.setParameter("sw_mode", MODES.lines);
    const solid = new pc.MeshInstance(mesh, material);
    const lines = new pc.MeshInstance(mesh, ink);
    const entity = new pc.Entity("part", this.gl.app);
    entity.addComponent("render", { meshInstances: [solid, lines] });
    this.root.addChild(entity);
    this.solids.push(solid);
    this.lines.push(lines);
  }

  /** `shading` of the widget, whether edges are drawn, and the name and RGB (0 to 255) of the ground. */
  shade({ shading, wireframe, background, rgb }) {
    const bare = shading === "none";
    for (const solid of this.solids) {
      solid.visible = !bare;
      solid.material.setParameter("sw_mode", MODES[shading] ?? 0);
      solid.material.update();
    }
    const ink = bare && background === "dark" ? INK.darkLines : INK[background];
    for (const lines of this.lines) {
      lines.visible = bare || wireframe;
      if (lines.visible) lines.renderStyle = pc.RENDERSTYLE_WIREFRAME;
      lines.material.setParameter("sw_line", ink);
      lines.material.update();
    }
    this.gl.setBackground(rgb.map((c) => c / 255));
  }

  /** Look from where a camera is, with planes as near to the mesh as can be. */
  look(camera) {
    const away = length(sub(camera.eye, this.center));
    const near = Math.max(away - 1.01 * this.radius, 1e-3 * Math.min(this.radius, camera.distance));
    this.gl.setPlanes(near, Math.max(away + 1.01 * this.radius, 2 * near));
    this.gl.setPose(camera.viewmat, camera.K, camera.width, camera.height);
  }

  destroy() {
    this.gl.destroy();
  }
}
