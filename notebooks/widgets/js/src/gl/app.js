// PlayCanvas on a canvas of ours: it draws when something has changed, sleeps in between, takes poses
// as the project has them, and gives its context back.
import * as pc from "playcanvas";
import { invertRigid, projectionOf } from "../camera/pose.js";

const AWAKE = 1000; // milliseconds for which the engine goes on updating after the last request
let made = 0;

/**
 * An application with one camera and nothing else.
 *
 *     const gl = await createApp(canvas, { background: [0, 0, 0] });
 *     const stop = gl.follow(stage, (width, height) => camera.resize(width, height));
 *     gl.setPose(viewmat, K, width, height); // draws soon, once
 *     gl.destroy(); // gives the context back
 *
 * Entities are made with `new pc.Entity(name, gl.app)`: a page may hold several applications.
 * Colours that shaders give are shown as they are: no tone mapping, no gamma.
 */
export async function createApp(
  canvas,
  { background = [0, 0, 0], near = 0.01, far = 1e4, antialias = false, systems = [], handlers = [] } = {},
) {
  canvas.id ||= `splatworks-gl-${(made += 1)}-${Date.now().toString(36)}`; // names the application
  const device = await pc.createGraphicsDevice(canvas, {
    deviceTypes: ["webgl2"], antialias, alpha: false, preserveDrawingBuffer: true,
    powerPreference: "high-performance",
  });
  device.maxPixelRatio = 1; // sizes are pixels of the canvas, see follow
  const options = new pc.AppOptions();
  options.graphicsDevice = device;
  options.componentSystems = [pc.RenderComponentSystem, pc.CameraComponentSystem, ...systems];
  options.resourceHandlers = handlers;
  const app = new pc.AppBase(canvas);
  app.init(options);
  app.setCanvasFillMode(pc.FILLMODE_NONE);
  app.setCanvasResolution(pc.RESOLUTION_FIXED, canvas.width, canvas.height);
  const gl = new App(app, canvas, { near, far });
  gl.setBackground(background);
  app.start();
  return gl;
}

class App {
  #projection = new pc.Mat4();
  #planes; // { near, far }
  #until = 0; // when the engine may sleep
  #ends = [];
  #drawn = new Set();
  #fence = null; // of the frame that the device is drawing
  #again = false; // another is wanted
  #start = 0;
  #timer = 0;
  #fresh = true; // the next frame begins a picture

  constructor(app, canvas, planes) {
    this.app = app;
    this.canvas = canvas;
    this.device = app.graphicsDevice;
    this.size = { width: canvas.width, height: canvas.height }; // of pictures
    this.deferred = false; // whether the canvas takes that size only when a picture is whole
    this.source = null; // of pictures in parts: see draw
    this.whole = true; // whether the frame is the last part of its picture
    this.#planes = planes;
    this.camera = new pc.Entity("camera", app);
    this.camera.addComponent("camera", {
      nearClip: planes.near, farClip: planes.far,
      toneMapping: pc.TONEMAP_NONE, gammaCorrection: pc.GAMMA_NONE,
    });
    this.camera.camera.calculateProjection = (matrix) => matrix.copy(this.#projection);
    app.root.addChild(this.camera);

    app.autoRender = false;
    app.on("prerender", this.#begun);
    app.on("postrender", this.#submitted);
    const again = app.requestAnimationFrame.bind(app);
    app.requestAnimationFrame = () => {
      if (performance.now() < this.#until) again();
      else app.frameRequestId = null;
    };
    const restored = () => this.draw();
    canvas.addEventListener("webglcontextrestored", restored);
    this.#ends.push(() => canvas.removeEventListener("webglcontextrestored", restored));
  }

  /** Whether the browser has taken the context away (it may come back by itself). */
  get lost() {
    return this.device.contextLost;
  }

  /**
   * Draw soon, once; where a frame is still being drawn, after it. Frames that pile up in a slow
   * device would hold up the whole page, and so would one that takes long: a `source` may draw a
   * picture in several frames, which is shown when it is whole. `source.start(camera)` begins one
   * (false: not yet), `source.part` says of the next frame whether it is the { first, last } of it.
   */
  draw() {
    this.#fresh = true;
    if (this.#fence) {
      this.#again = true;
      return;
    }
    if (this.source && !this.source.start(this.camera)) return;
    this.#next();
  }

  #next() {
    this.app.renderNextFrame = true;
    this.wake();
  }

  /** Let the engine go on updating for a while without drawing, for what it does over many frames. */
  wake(milliseconds = AWAKE) {
    this.#until = Math.max(this.#until, performance.now() + milliseconds);
    if (this.app.graphicsDevice && !this.app.frameRequestId) this.app.requestAnimationFrame();
  }

  /** Call when the device has finished a frame, with the milliseconds it took; returns what ends it. */
  onDrawn(call) {
    this.#drawn.add(call);
    return () => this.#drawn.delete(call);
  }

  #begun = () => {
    this.#start = performance.now();
    if (this.#fresh) this.source?.start(this.camera);
    this.#fresh = false;
    const { first, last } = this.source?.part ?? { first: true, last: true };
    this.camera.camera.clearColorBuffer = first;
    this.whole = last;
  };

  #submitted = () => {
    const { gl } = this.device;
    this.#fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    this.#poll();
  };

  #poll = () => {
    const { gl } = this.device;
    if (!this.#fence || !gl) return;
    const state = gl.isContextLost() ? gl.CONDITION_SATISFIED : gl.clientWaitSync(this.#fence, 0, 0);
    if (state === gl.TIMEOUT_EXPIRED) {
      this.#timer = setTimeout(this.#poll, 2);
      return;
    }
    gl.deleteSync(this.#fence);
    this.#fence = null;
    const took = performance.now() - this.#start;
    for (const call of [...this.#drawn]) call(took, this.whole);
    if (this.#again) {
      this.#again = false;
      this.draw();
    } else if (!this.whole) this.#next();
  };

  /** Pixels of pictures. */
  resize(width, height) {
    if (width === this.size.width && height === this.size.height) return;
    this.size = { width, height };
    if (!this.deferred) this.fitCanvas();
    this.draw();
  }

  /** Give the canvas the size of pictures, which empties it. */
  fitCanvas() {
    const { canvas, app, size: { width, height } } = this;
    if (width === canvas.width && height === canvas.height) return;
    app.setCanvasResolution(pc.RESOLUTION_FIXED, width, height);
  }

  /**
   * Be as large as an element and as sharp as the screen, up to `most` pixels; calls `call(width,
   * height)` in pixels of the canvas at once and at every change. Returns what ends it.
   */
  follow(element, call, most = 4e6) {
    const size = () => {
      const box = element.getBoundingClientRect();
      if (!(box.width > 0 && box.height > 0)) return;
      const ratio = Math.min(devicePixelRatio || 1, Math.sqrt(most / (box.width * box.height)));
      const [width, height] = [Math.max(1, Math.round(box.width * ratio)), Math.max(1, Math.round(box.height * ratio))];
      this.canvas.style.width = "100%";
      this.canvas.style.height = "100%";
      this.resize(width, height);
      call(width, height);
    };
    const observer = new ResizeObserver(size);
    observer.observe(element);
    let query = null;
    const ratioChanged = () => {
      query?.removeEventListener("change", ratioChanged);
      query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
      query.addEventListener("change", ratioChanged);
      size();
    };
    ratioChanged();
    const end = () => {
      observer.disconnect();
      query?.removeEventListener("change", ratioChanged);
    };
    this.#ends.push(end);
    return end;
  }

  /** Near and far plane, world units along the optical axis. */
  setPlanes(near, far) {
    this.#planes = { near, far };
    this.camera.camera.nearClip = near;
    this.camera.camera.farClip = far;
  }

  /**
   * Look from a pose: world-to-camera (16 numbers row-major, OpenCV axes), and intrinsics (9) for an
   * image of a size, of the canvas's shape.
   */
  setPose(viewmat, K, width, height) {
    const m = invertRigid(viewmat);
    const world = new pc.Mat4();
    // Columns of camera-to-world; PlayCanvas looks along -z with y up.
    world.set([
      m[0], m[4], m[8], 0,
      -m[1], -m[5], -m[9], 0,
      -m[2], -m[6], -m[10], 0,
      m[3], m[7], m[11], 1,
    ]);
    this.camera.setPosition(m[3], m[7], m[11]);
    this.camera.setRotation(new pc.Quat().setFromMat4(world));
    this.#projection.set([...projectionOf(K, width, height, this.#planes.near, this.#planes.far)]);
    this.camera.camera.camera._projMatDirty = true;
    this.draw();
  }

  /** RGB in [0, 1]. */
  setBackground(rgb) {
    this.camera.camera.clearColor = new pc.Color(...rgb, 1);
    this.draw();
  }

  /** Give everything back: the engine, what it loaded, and the context. */
  destroy() {
    for (const end of this.#ends.splice(0)) end();
    const context = this.device.gl;
    clearTimeout(this.#timer);
    this.#fence = null;
    this.source = null;
    this.#drawn.clear();
    this.#until = 0;
    this.app.destroy();
    context?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
