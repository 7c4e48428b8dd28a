// Run by `node --test` (tests/notebooks/widgets/test_camera.py does).
import assert from "node:assert/strict";
import test from "node:test";
import { OrbitCamera } from "../src/camera/orbit.js";
import * as pose from "../src/camera/pose.js";

globalThis.requestAnimationFrame ??= (call) => setTimeout(() => call(performance.now()), 8);
globalThis.cancelAnimationFrame ??= clearTimeout;

let seed = 1;
const random = () => ((seed = (seed * 16807) % 2147483647) / 2147483647) * 2 - 1;
const vector = () => [random(), random(), random()];
const near = (a, b, tolerance = 1e-12) =>
  a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < tolerance, `${[...a]} is not ${[...b]}`));
const K = [300, 0, 170, 0, 310, 110, 0, 0, 1];

function anyAxes() {
  const forward = pose.unit(vector());
  const right = pose.unit(pose.cross(forward, vector()));
  return { right, down: pose.cross(forward, right), forward, eye: vector() };
}
const anyView = () => pose.viewmatOf(anyAxes());

test("axes and viewmat are each other's inverse, and rigid matrices invert", () => {
  for (let i = 0; i < 50; i++) {
    const axes = anyAxes();
    const back = pose.axesOf(pose.viewmatOf(axes));
    for (const name of ["right", "down", "forward", "eye"]) near(back[name], axes[name]);
    const m = anyView();
    const n = pose.invertRigid(m);
    for (let r = 0; r < 4; r++)
      for (let c = 0; c < 4; c++) {
        const sum = [0, 1, 2, 3].reduce((s, k) => s + m[4 * r + k] * n[4 * k + c], 0);
        near([sum], [r === c ? 1 : 0]);
      }
  }
});

test("quaternions give back the axes, those of half turns too", () => {
  const flips = [
    { right: [1, 0, 0], down: [0, -1, 0], forward: [0, 0, -1] },
    { right: [-1, 0, 0], down: [0, 1, 0], forward: [0, 0, -1] },
    { right: [-1, 0, 0], down: [0, -1, 0], forward: [0, 0, 1] },
  ];
  for (const axes of [...flips, ...Array.from({ length: 50 }, anyAxes)]) {
    const back = pose.axesOfQuaternion(pose.quaternionOf(axes));
    for (const name of ["right", "down", "forward"]) near(back[name], axes[name]);
  }
});

test("slerp turns at even speed along the shorter arc", () => {
  const p = pose.quaternionOf(anyAxes());
  const turn = (a) => [Math.cos(a / 2), 0, 0, Math.sin(a / 2)];
  near(pose.slerp(turn(0), turn(1), 0.25), turn(0.25));
  near(pose.slerp(turn(0), turn(1).map((x) => -x), 0.25), turn(0.25));
  near(pose.slerp(p, p, 0.3), p);
});

test("a point comes back from its pixel and depth; the WebGL projection agrees with K", () => {
  for (let i = 0; i < 20; i++) {
    const view = anyView();
    const skewed = [300, 7, 170, 0, 310, 110, 0, 0, 1];
    const point = pose.unproject(40, 90, 2.5, view, skewed);
    const [x, y, z] = pose.project(point, view, skewed);
    near([x, y, z], [40, 90, 2.5], 1e-9);
    const P = pose.projectionOf(skewed, 320, 240, 0.1, 100);
    const m = view;
    const cam = [0, 4, 8].map((r) => m[r] * point[0] + m[r + 1] * point[1] + m[r + 2] * point[2] + m[r + 3]);
    const gl = [cam[0], -cam[1], -cam[2], 1];
    const clip = [0, 1, 2, 3].map((r) => gl.reduce((s, g, c) => s + P[4 * c + r] * g, 0));
    near([((clip[0] / clip[3] + 1) / 2) * 320, ((1 - clip[1] / clip[3]) / 2) * 240], [40, 90], 1e-9);
  }
});

test("a fitted picture is whole, in the middle, and as large as can be", () => {
  const wide = pose.fitted(K, 340, 220, 680, 1000); // twice as large, 280 pixels free above and below
  near(wide, [600, 0, 340, 0, 620, 220 + 280, 0, 0, 1]);
  near(pose.fitted(K, 340, 220, 340, 220), K);
});

test("a view that was set comes back bit by bit until something moves", () => {
  const camera = new OrbitCamera();
  camera.resize(340, 220);
  const view = Float64Array.from(anyView(), Math.fround);
  camera.setView(view, K, 340, 220, { fly: false });
  assert.deepEqual([...camera.viewmat], [...view]);
  near(camera.K, K);
  camera.resize(680, 1000);
  assert.deepEqual([...camera.viewmat], [...view]);
  camera.orbitBy(1e-9, 0);
  near(camera.viewmat, view, 1e-6);
  camera.dispose();
});

test("an orbit keeps the target in its place, the distance and the horizon", () => {
  const camera = new OrbitCamera({ up: [0, 0, 1], target: [1, 2, 3], distance: 4 });
  camera.resize(300, 200);
  for (let i = 0; i < 30; i++) {
    camera.orbitBy(random(), random());
    near(pose.project([1, 2, 3], camera.viewmat, camera.K), [150, 100, 4], 1e-9);
    near([pose.dot(camera.axes.right, camera.up)], [0], 1e-9);
  }
  camera.orbitBy(0, 100);
  assert.ok(camera.axes.forward[2] < -0.99995 && camera.axes.forward[2] > -1);
  camera.orbitBy(0, -100);
  assert.ok(camera.axes.forward[2] > 0.99995 && camera.axes.forward[2] < 1);
  camera.dispose();
});

test("yaw goes to the right, pitch goes up", () => {
  const camera = new OrbitCamera({ up: [0, 0, 1], target: [0, 0, 0], eye: [2, 0, 0] });
  camera.orbitBy(Math.PI / 2, 0);
  near(camera.eye, [0, 2, 0]);
  camera.orbitBy(0, Math.PI / 6);
  near(camera.eye, [0, Math.sqrt(3), 1]);
  camera.dispose();
});

test("a pan holds what is at the target's depth, a zoom what is at the cursor", () => {
  const camera = new OrbitCamera({ up: [0, 0, 1], target: [1, 2, 3], distance: 4 });
  camera.resize(300, 200);
  const point = pose.unproject(50, 60, 4, camera.viewmat, camera.K);
  camera.panBy(20, -10);
  near(pose.project(point, camera.viewmat, camera.K), [70, 50, 4], 1e-9);
  camera.zoomBy(0.5, 70, 50);
  near(pose.project(point, camera.viewmat, camera.K), [70, 50, 2], 1e-9);
  near([pose.length(pose.sub(camera.target, camera.eye))], [2]);
  camera.dispose();
});

test("a camera of the capture is flown to, reached exactly, and left", async () => {
  const camera = new OrbitCamera();
  camera.resize(340, 220);
  const cameras = [0, 1, 2].map((i) => ({ viewmat: anyView(), K, width: 340, height: 220, name: `${i}` }));
  camera.setCameras(cameras);
  camera.goTo(0, false);
  const heard = [];
  camera.onChange((moving) => heard.push([moving, camera.index]));
  camera.next(-1);
  assert.equal(camera.index, -1);
  await new Promise((done) => setTimeout(done, 900));
  assert.deepEqual([...camera.viewmat], [...cameras[2].viewmat]);
  assert.deepEqual(heard.at(-1), [false, 2]);
  assert.ok(heard.length > 5 && heard.slice(0, -1).every(([moving]) => moving));
  camera.flyBy(0, 0, 0.1);
  assert.equal(camera.index, -1);
  camera.next(1);
  await new Promise((done) => setTimeout(done, 600));
  assert.equal(camera.index, 0);
  camera.dispose();
});

test("a picked pixel comes to the middle, and reset goes home", async () => {
  globalThis.matchMedia = () => ({ matches: true });
  const camera = new OrbitCamera({ up: [0, 0, 1], target: [0, 0, 0], distance: 2, pick: (x) => (x > 100 ? 3 : null) });
  camera.resize(300, 200);
  camera.setHome();
  const home = [...camera.viewmat];
  await camera.pickAt(20, 20);
  assert.deepEqual([...camera.viewmat], home);
  const eye = camera.eye;
  const point = pose.unproject(200, 30, 3, camera.viewmat, camera.K);
  await camera.pickAt(200, 30);
  near(pose.project(point, camera.viewmat, camera.K).slice(0, 2), [150, 100], 1e-9);
  near(camera.eye, eye, 1e-9);
  camera.reset();
  assert.deepEqual([...camera.viewmat], home);
  camera.dispose();
  delete globalThis.matchMedia;
});
