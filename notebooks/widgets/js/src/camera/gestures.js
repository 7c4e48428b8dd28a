// Mouse, touch, wheel and keys of an element, as moves of an OrbitCamera.

const TURN = Math.PI; // radians of an orbit for a drag over the whole height
const KEY_TURN = Math.PI / 36; // radians of an arrow key
const KEY_PAN = 0.05; // parts of the height of shift and an arrow key
const KEY_ZOOM = 0.9;
const WHEEL = 0.0012; // of the logarithm of the distance, per pixel of the wheel
const STEP = 0.04; // distances to the target of a tap on a flying key
const SPEED = 0.7; // distances to the target per second while it is held

const FLY = {
  w: [0, 0, 1], s: [0, 0, -1], a: [-1, 0, 0], d: [1, 0, 0], e: [0, -1, 0], q: [0, 1, 0],
};
const ARROWS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };

export const KEYS_HELP =
  "drag: orbit · shift or right drag: pan · wheel (after a click): zoom · double click: look there · " +
  "arrows, shift + arrows, + and −: the same · W A S D Q E: fly · N and P: cameras · R: reset";

/** Let an element move a camera; returns what stops it. */
export function listenTo(element, camera) {
  if (!element.hasAttribute("tabindex")) element.tabIndex = 0;
  // JupyterLab's own keys (A and B make cells, D D deletes one) leave such elements alone.
  element.setAttribute("data-lm-suppress-shortcuts", "true");
  element.style.touchAction = "none";
  const ends = [pointers(element, camera), keys(element, camera)];
  return () => ends.forEach((end) => end());
}

/** Listen to events of an element; returns what ends it. */
function on(element, listeners, options) {
  for (const [event, call] of Object.entries(listeners)) element.addEventListener(event, call, options);
  return () => {
    for (const [event, call] of Object.entries(listeners)) element.removeEventListener(event, call, options);
  };
}

function pointers(element, camera) {
  const down = new Map(); // id -> position, pixels of the stage

  const place = (event) => {
    const box = element.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * camera.width) / box.width,
      ((event.clientY - box.top) * camera.height) / box.height,
    ];
  };
  const middle = () => {
    const all = [...down.values()];
    const centre = [0, 1].map((i) => all.reduce((sum, p) => sum + p[i], 0) / all.length);
    return { centre, apart: Math.hypot(all[0][0] - all[1][0], all[0][1] - all[1][1]) };
  };
  const drag = (event) => {
    if (!down.has(event.pointerId)) return;
    const before = down.get(event.pointerId);
    const two = down.size > 1 ? middle() : null;
    const now = place(event);
    down.set(event.pointerId, now);
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    if (two) {
      const { centre, apart } = middle();
      camera.panBy(centre[0] - two.centre[0], centre[1] - two.centre[1]);
      if (apart > 0 && two.apart > 0) camera.zoomBy(two.apart / apart, ...centre);
    } else if (dx || dy) {
      const pans = event.shiftKey || event.buttons & 6;
      if (pans) camera.panBy(dx, dy);
      else camera.orbitBy((-dx / camera.height) * TURN, (dy / camera.height) * TURN);
    }
  };
  const release = (event) => down.delete(event.pointerId);

  return on(
    element,
    {
      pointerdown(event) {
        if (event.target.closest("button, select, input, a, label")) return;
        event.preventDefault();
        element.focus({ preventScroll: true });
        element.setPointerCapture(event.pointerId);
        down.set(event.pointerId, place(event));
      },
      pointermove: drag,
      pointerup: release,
      pointercancel: release,
      lostpointercapture: release,
      contextmenu: (event) => event.preventDefault(),
      dblclick(event) {
        if (!event.target.closest("button, select, input, a, label")) camera.pickAt(...place(event));
      },
      wheel(event) {
        // Whoever scrolls through a notebook does not mean the picture under the mouse.
        if (!element.matches(":focus-within") && !event.ctrlKey) return;
        event.preventDefault();
        const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
        const pinch = event.ctrlKey ? 8 : 1; // how browsers tell a pinch on a touchpad
        const by = Math.max(-300, Math.min(300, event.deltaY * lines * pinch));
        camera.zoomBy(Math.exp(by * WHEEL), ...place(event));
      },
    },
    { passive: false },
  );
}

function keys(element, camera) {
  const held = new Set();
  let frame = 0;
  let before = 0;

  const move = (amount) => {
    const sum = [0, 0, 0];
    for (const key of held) FLY[key].forEach((part, i) => (sum[i] += part));
    camera.flyBy(...sum.map((part) => part * amount));
  };
  const fly = (now) => {
    if (!held.size) return;
    move((Math.min(100, now - before) / 1000) * SPEED);
    before = now;
    frame = requestAnimationFrame(fly);
  };
  const letGo = () => {
    held.clear();
    cancelAnimationFrame(frame);
  };

  const end = on(element, {
    keydown(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input, textarea")) return;
      const key = event.key.toLowerCase();
      if (!press(camera, key, event.shiftKey)) {
        if (!(key in FLY)) return;
        if (!held.has(key) && !event.repeat) {
          held.add(key);
          move(STEP);
          if (held.size === 1) {
            before = performance.now();
            frame = requestAnimationFrame(fly);
          }
        }
      }
      event.preventDefault();
      event.stopPropagation();
    },
    keyup: (event) => held.delete(event.key.toLowerCase()),
    focusout: letGo,
  });
  return () => {
    letGo();
    end();
  };
}

/** What a key does at once; false where it does nothing. */
function press(camera, key, shift) {
  if (key in ARROWS) {
    const [x, y] = ARROWS[key];
    if (shift) camera.panBy(-x * KEY_PAN * camera.height, -y * KEY_PAN * camera.height);
    else camera.orbitBy(x * KEY_TURN, -y * KEY_TURN);
  } else if (key === "+" || key === "=") camera.zoomBy(KEY_ZOOM);
  else if (key === "-" || key === "_") camera.zoomBy(1 / KEY_ZOOM);
  else if (key === "r") camera.reset();
  else if (key === "n") camera.next(1);
  else if (key === "p") camera.next(-1);
  else return false;
  return true;
}
