// A SplatModel as what PlayCanvas draws: its resource for splats, by the blending of 3DGS.
import * as pc from "playcanvas";
import { DepthSorter } from "./sorter.js";

const SH_C0 = 0.28209479177387814;
const DILATION = (4 * 0.3).toFixed(1); // 0.3 px^2 of 3DGS; the covariance here is in half pixels

const NAMES = {
  x: ["means", 0], y: ["means", 1], z: ["means", 2],
  rot_0: ["quats", 0], rot_1: ["quats", 1], rot_2: ["quats", 2], rot_3: ["quats", 3],
  scale_0: ["log_scales", 0], scale_1: ["log_scales", 1], scale_2: ["log_scales", 2],
  opacity: ["opacity_logits", 0],
  f_dc_0: ["sh0", 0], f_dc_1: ["sh0", 1], f_dc_2: ["sh0", 2],
};

/** Columns under the names of a PLY file, as PlayCanvas reads them. */
function dataOf(model, count, colours) {
  const properties = [];
  const add = (name, storage) => properties.push({ type: "float", name, storage, byteSize: 4 });
  for (const [name, [array, index]] of Object.entries(NAMES)) {
    if (colours && name.startsWith("f_dc_")) continue;
    add(name, model.column(array, index, count));
  }
  if (colours) {
    for (let c = 0; c < 3; c++) add(`f_dc_${c}`, colours.map((rgb) => rgb[c]));
  } else {
    // f_rest: all coefficients of red, then of green, then of blue.
    for (let c = 0; c < 3; c++) {
      for (let k = 0; k < model.coefficients; k++) {
        add(`f_rest_${c * model.coefficients + k}`, model.shColumn(k, c, count));
      }
    }
  }
  return new pc.GSplatData([{ name: "vertex", count, properties }]);
}

// The linearised projection is taken no further out than 0.15 of the picture's size beyond its
// edge, as 3DGS and gsplat have it: else a Gaussian beside the camera covers everything.
const CLAMPED = `vec2 scale = vec2(center.projMat00, center.projMat11);
  vec2 middle = vec2(matrix_projection[2][0], matrix_projection[2][1]);
  vec2 seen = clamp(vp.xy / -vp.z, (middle - 1.3) / scale, (middle + 1.3) / scale);
  vec2 J2 = J1 * seen;`;

// The direction of the longer axis, also where it is a pixel axis or both are equally long (there,
// the original divides by 0 and nothing is drawn).
const LONG_AXIS = `vec2 along = diagonal1 >= diagonal2
    ? vec2(lambda1 - diagonal2, offDiagonal) : vec2(offDiagonal, lambda1 - diagonal1);
  float size = length(along);
  vec2 diagonalVector = size > 1e-6 * mid ? along / size : vec2(1.0, 0.0);`;

function replaced(chunk, [from, to]) {
  if (!chunk.includes(from)) throw new Error(`the splat shader has no "${from}"`);
  return chunk.replace(from, to);
}

/**
 * The falloff of 3DGS: exp(-d^2 / 2) down to alpha 1/255. PlayCanvas ends it at exp(-4), which it
 * subtracts; faint rims are lost and everything is a little thinner. Here a quad reaches to
 * sqrt(2 ln 255) standard deviations, and nothing is subtracted.
 */
function exactShader(device, material) {
  const reach = Math.log(255);
  const chunks = pc.ShaderChunks.get(device, "glsl");
  const own = material.getShaderChunks("glsl");
  const vertex = [
    ["2.0 * min(sqrt(2.0 * lambda1), vmin)", `${Math.sqrt(reach)} * min(sqrt(2.0 * lambda1), 4096.0 * vmin)`],
    ["2.0 * min(sqrt(2.0 * lambda2), vmin)", `${Math.sqrt(reach)} * min(sqrt(2.0 * lambda2), 4096.0 * vmin)`],
    ["vec2 J2 = -J1 / vp.z * vp.xy;", CLAMPED],
    ["vec2 diagonalVector = normalize(vec2(offDiagonal, lambda1 - diagonal1));", LONG_AXIS],
    ["max(mid - radius, 0.1)", `max(mid - radius, ${DILATION})`],
  ];
  const corner = chunks.get("gsplatCornerVS").replaceAll("+ 0.3", `+ ${DILATION}`);
  own.set("gsplatCornerVS", vertex.reduce(replaced, corner));
  const clip = ["sqrt(max(0.0, log(alpha / alphaClipValue))) * 0.5", `sqrt(max(0.0, log(alpha / alphaClipValue)) / ${reach})`];
  own.set("gsplatCommonVS", replaced(chunks.get("gsplatCommonVS"), clip));
  const fragment = [
    ["(exp(x * -4.0) - EXP4) * INV_EXP4", `exp(x * -${reach})`],
    ["varying mediump vec2 gaussianUV", "varying highp vec2 gaussianUV"],
    ["mediump float A", "highp float A"],
    ["mediump float alpha = normExp(A) * gaussianColor.a", "highp float alpha = min(0.999, normExp(A) * gaussianColor.a)"],
  ];
  own.set("gsplatPS", fragment.reduce(replaced, chunks.get("gsplatPS")));
  own.set("gsplatVS", replaced(chunks.get("gsplatVS"), ["varying mediump vec2 gaussianUV", "varying highp vec2 gaussianUV"]));
}

/** The first `count` Gaussians of a model in a scene; `colours` (rgb triples in 0 to 1) instead of its own. */
export class Gaussians {
  constructor(app, model, { count = model.count, colours = null, antialiased = false, onSorted }) {
    const coded = colours?.map((rgb) => rgb.map((value) => (value - 0.5) / SH_C0));
    this.app = app;
    this.resource = new pc.GSplatResource(app.graphicsDevice, dataOf(model, count, coded));
    this.entity = new pc.Entity("gaussians", app);
    this.entity.addComponent("gsplat", { unified: false });
    this.entity.gsplat.resource = this.resource;
    app.root.addChild(this.entity);
    const { instance } = this.entity.gsplat;
    exactShader(app.graphicsDevice, instance.material);
    if (antialiased) instance.material.setDefine("GSPLAT_AA", "1");
    instance.material.setParameter("minPixelSize", 0);
    instance.material.update();
    instance.meshInstance.cull = false; // its bounds miss the extent of single Gaussians
    instance.sorter.destroy();
    instance.sorter = new DepthSorter(instance.orderTexture, this.resource.centers.slice());
    this.sorted = instance.sorter.on("updated", onSorted);
  }

  /** Draw, or keep without drawing. */
  set visible(on) {
    this.entity.enabled = on;
  }

  get visible() {
    return this.entity.enabled;
  }

  /** Draw at most so many at once, and the rest in the frames that follow. */
  inParts(limit) {
    const sorter = this.#sorter;
    if (sorter) sorter.limit = limit;
  }

  /** How many Gaussians the last frame drew. */
  get last() {
    const held = this.#sorter?.held;
    return held ? held.to - held.from : 0;
  }

  /** What part of the picture is drawn, 0 to 1. */
  get done() {
    const { held } = this.#sorter ?? {};
    return held ? held.to / Math.max(1, held.order.length) : 1;
  }

  get #sorter() {
    return this.entity.gsplat.instance?.sorter;
  }

  /**
   * Begin a picture from `camera`; false where there is nothing to draw yet: an order that takes
   * several frames to draw has to be the right one.
   */
  start(camera) {
    const sorter = this.#sorter;
    if (!sorter) return true;
    sorter.start();
    if (sorter.part.last) return true;
    this.entity.gsplat.instance.sort(camera);
    return !sorter.sorting;
  }

  /** Whether the part that is drawn next is the first and the last of its picture. */
  get part() {
    return this.#sorter?.part ?? { first: true, last: true };
  }

  /** True while Gaussians are drawn in the order of an earlier camera. */
  get pending() {
    return this.entity.gsplat.instance?.sorter?.pending ?? false;
  }

  destroy() {
    this.sorted.off();
    this.entity.destroy();
    this.resource.destroy();
  }
}
