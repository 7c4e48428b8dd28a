// The mathematics of poses. Vectors are arrays of 3, matrices are row-major: a viewmat is
// world-to-camera, 16 numbers, OpenCV axes (x right, y down, z forward); K is 9 numbers, in pixels,
// where the centre of the top left pixel is (0.5, 0.5). Angles are in radians.

export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const scaled = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
export const length = (a) => Math.hypot(a[0], a[1], a[2]);
export const unit = (a) => scaled(a, 1 / length(a));
export const mix = (a, b, t) => [
  a[0] + (b[0] - a[0]) * t,
  a[1] + (b[1] - a[1]) * t,
  a[2] + (b[2] - a[2]) * t,
];

/** The camera of a viewmat: its axes and its centre in the world. */
export function axesOf(viewmat) {
  const m = viewmat;
  const right = [m[0], m[1], m[2]];
  const down = [m[4], m[5], m[6]];
  const forward = [m[8], m[9], m[10]];
  const eye = [0, 1, 2].map((i) => -(right[i] * m[3] + down[i] * m[7] + forward[i] * m[11]));
  return { right, down, forward, eye };
}

/** The viewmat of a camera; the inverse of `axesOf`. */
export function viewmatOf({ right, down, forward, eye }) {
  return Float64Array.from([
    ...right, -dot(right, eye),
    ...down, -dot(down, eye),
    ...forward, -dot(forward, eye),
    0, 0, 0, 1,
  ]);
}

/** The inverse of a rigid 4 x 4 matrix: from world-to-camera to camera-to-world and back. */
export function invertRigid(m) {
  const { right, down, forward, eye } = axesOf(m);
  return Float64Array.from([
    right[0], down[0], forward[0], eye[0],
    right[1], down[1], forward[1], eye[1],
    right[2], down[2], forward[2], eye[2],
    0, 0, 0, 1,
  ]);
}

/** Any direction at right angles to a unit vector. */
export function across(axis) {
  const size = axis.map(Math.abs);
  const least = size.indexOf(Math.min(...size));
  return unit(cross(axis, [0, 1, 2].map((i) => (i === least ? 1 : 0))));
}

/** The axes of a camera at `eye` that looks at `target` and is level; both must differ. */
export function lookAt(eye, target, up) {
  const forward = unit(sub(target, eye));
  const side = cross(forward, up);
  const right = length(side) > 1e-9 * length(up) ? unit(side) : across(forward);
  return { right, down: cross(forward, right), forward, eye };
}

/** A vector turned about a unit axis, counterclockwise when the axis points at you (Rodrigues). */
export function turned(v, axis, angle) {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  return add(add(scaled(v, c), scaled(cross(axis, v), s)), scaled(axis, dot(axis, v) * (1 - c)));
}

/** Axes turned about a unit axis, at right angles again whatever the rounding. */
export function turnedAxes({ right, forward }, axis, angle) {
  return orthogonal(turned(right, axis, angle), turned(forward, axis, angle));
}

function orthogonal(right, forward) {
  const f = unit(forward);
  const r = unit(sub(right, scaled(f, dot(f, right))));
  return { right: r, down: cross(f, r), forward: f };
}

/** The quaternion wxyz of the rotation camera-to-world with these axes (Shepperd 1978). */
export function quaternionOf({ right, down, forward }) {
  const [a, b, c] = [right, down, forward];
  const four = [
    1 + a[0] + b[1] + c[2], 1 + a[0] - b[1] - c[2], 1 - a[0] + b[1] - c[2], 1 - a[0] - b[1] + c[2],
  ];
  const most = four.indexOf(Math.max(...four));
  const q = [
    [four[0], b[2] - c[1], c[0] - a[2], a[1] - b[0]],
    [b[2] - c[1], four[1], b[0] + a[1], c[0] + a[2]],
    [c[0] - a[2], b[0] + a[1], four[2], c[1] + b[2]],
    [a[1] - b[0], c[0] + a[2], c[1] + b[2], four[3]],
  ][most];
  const size = Math.hypot(...q);
  return q.map((x) => x / size);
}

/** The axes of a unit quaternion; the inverse of `quaternionOf`. */
export function axesOfQuaternion([w, x, y, z]) {
  return {
    right: [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
    down: [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
    forward: [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
  };
}

/** Between two unit quaternions along the shorter arc, at even speed (Shoemake 1985). */
export function slerp(p, q, t) {
  let cosine = p[0] * q[0] + p[1] * q[1] + p[2] * q[2] + p[3] * q[3];
  const sign = cosine < 0 ? -1 : 1;
  cosine = Math.min(1, cosine * sign);
  const angle = Math.acos(cosine);
  const sine = Math.sin(angle);
  const [a, b] = sine < 1e-6 ? [1 - t, t] : [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
  const mixed = p.map((value, i) => a * value + b * sign * q[i]);
  const size = Math.hypot(...mixed);
  return mixed.map((value) => value / size);
}

/** K of a picture whose shorter side covers `fov`, for a size in pixels. */
export function lensOf(fov, width, height) {
  const f = Math.min(width, height) / (2 * Math.tan(fov / 2));
  return Float64Array.from([f, 0, width / 2, 0, f, height / 2, 0, 0, 1]);
}

/**
 * K of a picture shown whole and as large as can be in the middle of a stage. The stage sees more
 * than the picture on two sides, unless they have one shape.
 */
export function fitted(K, width, height, stageWidth, stageHeight) {
  const s = Math.min(stageWidth / width, stageHeight / height);
  const left = (stageWidth - width * s) / 2;
  const top = (stageHeight - height * s) / 2;
  return Float64Array.from([
    K[0] * s, K[1] * s, K[2] * s + left, 0, K[4] * s, K[5] * s + top, 0, 0, 1,
  ]);
}

/** Where a point of the world lies in the image: [x, y, depth]; depth <= 0 is behind the camera. */
export function project(point, viewmat, K) {
  const m = viewmat;
  const [x, y, z] = [0, 4, 8].map((r) => m[r] * point[0] + m[r + 1] * point[1] + m[r + 2] * point[2] + m[r + 3]);
  return [(K[0] * x + K[1] * y) / z + K[2], (K[4] * y) / z + K[5], z];
}

/** The point of the world at an image position and a depth along the optical axis. */
export function unproject(x, y, depth, viewmat, K) {
  const v = (y - K[5]) / K[4];
  const u = (x - K[2] - K[1] * v) / K[0];
  const { right, down, forward, eye } = axesOf(viewmat);
  return add(eye, scaled(add(add(scaled(right, u), scaled(down, v)), forward), depth));
}

/**
 * The projection of WebGL (16 numbers, column-major, camera looking down -z with y up) of K for an
 * image of a size, with depth from `near` to `far`.
 */
export function projectionOf(K, width, height, near, far) {
  return Float64Array.from([
    (2 * K[0]) / width, 0, 0, 0,
    (-2 * K[1]) / width, (2 * K[4]) / height, 0, 0,
    1 - (2 * K[2]) / width, (2 * K[5]) / height - 1, -(far + near) / (far - near), -1,
    0, 0, (-2 * far * near) / (far - near), 0,
  ]);
}
