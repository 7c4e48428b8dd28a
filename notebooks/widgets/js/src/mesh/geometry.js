// The arrays of a mesh as the kernel sends them, for PlayCanvas and for rays.
import * as pc from "playcanvas";
import { cross, dot, sub } from "../camera/pose.js";
import { bytesOf } from "../dom.js";

const floats = (value) => new Float32Array(bytesOf(value).slice().buffer);

/** A part of the trait with typed arrays. */
export function partOf(row) {
  return {
    ...row,
    vertices: floats(row.vertices),
    normals: floats(row.normals),
    faces: new Uint32Array(bytesOf(row.faces).slice().buffer),
    colors: row.colors ? bytesOf(row.colors) : null,
    uv: row.uv ? floats(row.uv) : null,
    texture: row.texture ? bytesOf(row.texture) : null,
  };
}

/** A mesh of PlayCanvas. */
export function makeMesh(device, part) {
  const count = part.vertices.length / 3;
  const colors = new Uint8Array(4 * count).fill(255);
  if (part.colors)
    for (let i = 0; i < count; i++) {
      colors[4 * i] = part.colors[3 * i];
      colors[4 * i + 1] = part.colors[3 * i + 1];
      colors[4 * i + 2] = part.colors[3 * i + 2];
    }
  const mesh = new pc.Mesh(device);
  mesh.setPositions(part.vertices);
  mesh.setNormals(part.normals);
  mesh.setUvs(0, part.uv ?? new Float32Array(2 * count));
  mesh.setColors32(colors);
  mesh.setIndices(part.faces);
  mesh.update(pc.PRIMITIVE_TRIANGLES);
  return mesh;
}

/**
 * How far along a ray the first face lies, in lengths of the direction; null where there is none
 * (Moeller and Trumbore 1997).
 */
export function hit(parts, eye, direction) {
  let nearest = Infinity;
  for (const { vertices, faces } of parts) {
    const at = (i) => [vertices[3 * i], vertices[3 * i + 1], vertices[3 * i + 2]];
    for (let f = 0; f < faces.length; f += 3) {
      const a = at(faces[f]);
      const ab = sub(at(faces[f + 1]), a);
      const ac = sub(at(faces[f + 2]), a);
      const p = cross(direction, ac);
      const determinant = dot(ab, p);
      if (determinant === 0) continue;
      const s = sub(eye, a);
      const u = dot(s, p) / determinant;
      if (u < 0 || u > 1) continue;
      const q = cross(s, ab);
      const v = dot(direction, q) / determinant;
      if (v < 0 || u + v > 1) continue;
      const t = dot(ac, q) / determinant;
      if (t > 0 && t < nearest) nearest = t;
    }
  }
  return nearest < Infinity ? nearest : null;
}
