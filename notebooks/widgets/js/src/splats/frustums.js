// The cameras of a capture, drawn over the picture: what each sees, as a pyramid of lines.
import { axesOf, project, unproject } from "../camera/pose.js";

const REACH = 13; // CSS pixels from a camera within which a click means it

/** The corners of a camera's pyramid in the world: its centre, then its picture clockwise. */
function corners({ viewmat, K, width, height }, depth) {
  const at = (x, y) => unproject(x, y, depth, viewmat, K);
  return [axesOf(viewmat).eye, at(0, 0), at(width, 0), at(width, height), at(0, height)];
}

export class Frustums {
  constructor(canvas, cameras, focus) {
    this.canvas = canvas;
    this.centres = cameras.map(({ viewmat }) => axesOf(viewmat).eye);
    const far = this.centres.map((c) => Math.hypot(...c.map((x, i) => x - focus[i]))).sort((a, b) => a - b);
    // As large as leaves room between neighbours, and small beside the way to what they look at.
    this.depth = 0.12 * (far[far.length >> 1] || 1) * Math.min(1, Math.sqrt(30 / Math.max(1, cameras.length)));
    this.shapes = cameras.map((camera) => corners(camera, this.depth));
    this.at = [];
  }

  draw(viewmat, K, width, height, ratio, { current = -1, hovered = -1, visible = true }) {
    const { canvas } = this;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    this.at = [];
    if (!visible) return;
    const near = this.depth * 0.05;
    this.shapes.forEach((shape, i) => {
      const points = shape.map((point) => project(point, viewmat, K));
      this.at[i] = points[0][2] > near && i !== current ? points[0] : null;
      if (i === current || points.some((p) => p[2] <= near)) return;
      const strong = i === hovered;
      for (const [line, ink] of [[strong ? 4 : 3, "#0006"], [strong ? 2.2 : 1.1, strong ? "#ffb067" : "#e8833acc"]]) {
        context.lineWidth = line;
        context.strokeStyle = ink;
        context.beginPath();
        for (let k = 1; k <= 4; k++) {
          context.moveTo(points[0][0], points[0][1]);
          context.lineTo(points[k][0], points[k][1]);
          context.lineTo(points[(k % 4) + 1][0], points[(k % 4) + 1][1]);
        }
        context.stroke();
      }
    });
  }

  /** The camera at a place of the picture, CSS pixels; -1 where none is. */
  find(x, y) {
    let best = -1;
    let least = REACH;
    this.at.forEach((point, i) => {
      if (!point) return;
      const away = Math.hypot(point[0] - x, point[1] - y);
      if (away < least) [best, least] = [i, away];
    });
    return best;
  }
}
