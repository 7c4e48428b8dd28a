// The frame around every widget: theme, errors, messages to the kernel, a still picture, an end.
import css from "./style.css";
import { h } from "./dom.js";

const STILL_AFTER = 1200; // milliseconds without a change
const STILL_WIDTH = 960; // pixels at most

function addStyle(root, name, text) {
  const place = root instanceof ShadowRoot ? root : document.head;
  if (place.querySelector(`style[data-splatworks="${name}"]`)) return;
  place.append(h("style", { "data-splatworks": name, text }));
}

export class Panel {
  constructor(model, el) {
    this.model = model;
    this.alone = Boolean(model.alone); // a page without a kernel
    this.closed = false;
    this.root = h("div", { class: "splatworks", role: "group", "aria-label": model.get("alt"), "data-state": "loading" });
    this.ends = [];
    this.answers = new Map();
    this.asked = 0;
    el.append(this.root);
    addStyle(el.getRootNode(), "base", css);
    this.listen("msg:custom", (content, buffers) => this.#hear(content, buffers));
  }

  /** Add the style sheet of a kind of widget, once per page. */
  style(name, text) {
    addStyle(this.root.getRootNode(), name, text);
  }

  /** The value of a trait. */
  get(name) {
    return this.model.get(name);
  }

  /** Set traits, here and in the kernel. */
  set(values) {
    for (const [name, value] of Object.entries(values)) this.model.set(name, value);
    this.#try(() => this.model.save_changes());
  }

  /** Call when a trait changes (`change:name`) or a message comes, until the widget goes. */
  listen(event, call) {
    this.model.on(event, call);
    this.ends.push(() => this.model.off(event, call));
  }

  /** Call when the widget goes: listeners, timers, GPU memory. */
  onClose(call) {
    this.ends.push(call);
  }

  /** Say something to the kernel; false where there is none. */
  send(content, buffers = []) {
    return !this.alone && this.#try(() => this.model.send(content, undefined, buffers));
  }

  /** Whether there is no kernel to talk to: a saved page, or one whose kernel has gone. */
  get cut() {
    return this.alone || this.root.dataset.kernel === "gone";
  }

  /** Talk to the kernel; false where there is none any more. */
  #try(talk) {
    try {
      talk();
      return true;
    } catch (error) {
      this.root.dataset.kernel = "gone";
      console.info("splatworks: the kernel of this widget has gone; run its cell again", error);
      return false;
    }
  }

  /**
   * Ask the kernel; resolves to { content, buffers } of its answer, and to null where there is no
   * kernel. One that is busy answers later.
   */
  ask(content) {
    if (this.alone) return Promise.resolve(null);
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      this.answers.set(id, resolve);
      if (!this.send({ ...content, id })) {
        this.answers.delete(id);
        resolve(null);
      }
    });
  }

  #hear(content, buffers) {
    const answer = this.answers.get(content?.answers);
    if (answer) {
      this.answers.delete(content.answers);
      answer({ content, buffers: buffers ?? [] });
    }
  }

  /** Everything is drawn that is drawn at first. */
  ready(end) {
    if (end) this.ends.push(end);
    if (this.closed) this.#end();
    else if (this.root.dataset.state === "loading") this.root.dataset.state = "ready";
  }

  /**
   * Nothing can be shown, for no kernel answers: the still picture beside the widget takes its place
   * until one does (`false`).
   */
  unanswered(is = true) {
    const { dataset } = this.root;
    if (!is) {
      this.answered = true;
      if (dataset.state === "unanswered") dataset.state = "ready";
    } else if (!this.answered && dataset.state === "ready") {
      if (!this.root.querySelector(".sw-unanswered"))
        this.root.append(h("p", { class: "sw-unanswered", text: "No kernel answers: wait if it is busy, or run the cell again." }));
      dataset.state = "unanswered";
    }
  }

  /** Say in the widget's place what went wrong. */
  fail(error) {
    console.error(error);
    this.root.dataset.state = "failed";
    this.root.replaceChildren(h("p", { class: "sw-error", role: "alert", text: `${error.message ?? error}` }));
  }

  /**
   * What is shown has changed: some time after the last such call, `draw` (a canvas, or a function
   * that returns one or a promise of one) becomes the still picture that stands in for the widget.
   */
  changed(draw, mime = "image/jpeg") {
    clearTimeout(this.stillTimer);
    if (this.alone || this.closed) return;
    this.stillTimer = setTimeout(() => this.#still(draw, mime), STILL_AFTER);
  }

  async #still(draw, mime) {
    const source = await (typeof draw === "function" ? draw() : draw);
    if (!source || this.closed || !source.width) return;
    const scale = Math.min(1, STILL_WIDTH / source.width);
    const copy = h("canvas", { width: Math.round(source.width * scale), height: Math.round(source.height * scale) });
    copy.getContext("2d").drawImage(source, 0, 0, copy.width, copy.height);
    const blob = await new Promise((done) => copy.toBlob(done, mime, 0.9));
    if (blob && !this.closed) this.send({ type: "still", mime }, [await blob.arrayBuffer()]);
  }

  close() {
    this.closed = true;
    clearTimeout(this.stillTimer);
    this.#end();
    this.root.remove();
  }

  #end() {
    for (const end of this.ends.splice(0)) {
      try {
        end();
      } catch (error) {
        console.error(error);
      }
    }
  }
}
