// Controls that viewers with an OrbitCamera share: cameras of the capture, and back to the start.
import { button, choice, h } from "../dom.js";

/** Controls to jump to cameras of the capture; null where there are none. */
export function cameraChooser(camera) {
  const count = camera.cameras.length;
  if (!count) return null;
  const names = camera.cameras.map(({ name }, i) => [String(i), `${i} · ${name}`]);
  const list = choice("camera of the capture", [["-1", "free view"], ...names], "-1", (i) => camera.goTo(Number(i)));
  list.classList.add("sw-camera-list");
  const show = () => (list.value = String(camera.index));
  camera.onChange(show);
  show();
  return h(
    "label", {},
    button("‹", "previous camera (P)", () => camera.next(-1)), list, button("›", "next camera (N)", () => camera.next(1)),
  );
}

/** A button that goes back to where the camera was at first. */
export function resetButton(camera) {
  return button("reset view", "back to the first view (R)", () => camera.reset());
}
