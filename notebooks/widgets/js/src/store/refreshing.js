// A refresh: first the plan, then what it is doing, then how it ended.
import { button, h } from "../dom.js";
import { span } from "./words.js";

const SAID = 5; // lines shown of what it said

export class Refreshing {
  constructor(panel) {
    this.panel = panel;
    this.notice = h("p", { class: "sw-error", role: "alert", hidden: true });
    this.planned = h("div", { class: "sw-plan", hidden: true });
    this.job = h("div", { class: "sw-job", hidden: true, role: "status" });
    this.element = h("div", {}, this.notice, this.planned, this.job);
    panel.listen("change:running", () => this.draw());
    const timer = setInterval(() => this.#clock(), 1000);
    panel.onClose(() => clearInterval(timer));
    this.draw();
  }

  /** Say something that went wrong. */
  note(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  #heard(answer) {
    this.note(answer === null ? "it takes a kernel: run the cell of this panel again, or use the command in a terminal" : (answer.content.error ?? ""));
    return answer !== null && !answer.content.error;
  }

  /** Ask what a refresh would do, and show it with a button that does it. */
  async plan(selection) {
    this.planned.hidden = false;
    this.planned.replaceChildren(h("p", { class: "sw-faint", text: "looking what would run…" }));
    const answer = await this.panel.ask({ type: "plan", selection });
    if (!this.#heard(answer)) {
      const command = ["splatworks refresh", ...selection].join(" ");
      this.planned.replaceChildren(h("p", {}, h("code", { text: command })));
      return;
    }
    this.#showPlan(answer.content.found);
  }

  #showPlan(plan) {
    const { steps, command } = plan;
    const close = button("cancel", "close this plan", () => (this.planned.hidden = true));
    const broken = Object.entries(plan.broken).map(([name, words]) => h("p", { class: "sw-error", text: `${name}: ${words}` }));
    if (!steps.length) {
      this.planned.replaceChildren(...broken, h("div", { class: "sw-bar" }, `all ${plan.fresh} artifacts are fresh: there is nothing to do`, h("span", { class: "sw-space" }), close));
      return;
    }
    const words = `${plan.estimate}; ${plan.fresh} fresh`;
    const run = button("run", `run ${command} outside the kernel`, () => this.#begin(plan.selection, run), { class: "sw-do" });
    this.planned.replaceChildren(
      ...broken,
      h("div", { class: "sw-bar" }, h("b", { text: "a refresh would" }), h("span", { class: "sw-faint", text: words }), h("span", { class: "sw-space" }), close, run),
      h("div", { class: "sw-steps" }, ...steps.map((s) => h("div", {},
        h("span", { class: `sw-how sw-how-${s.how}`, text: s.how }), h("b", { text: s.key }),
        h("span", { class: "sw-faint", title: s.from ? `estimated from ${s.from}` : null, text: s.how === "restore" ? "seconds" : s.seconds === null ? "never timed" : `about ${span(s.seconds)}` }),
        h("span", { class: "sw-why", text: s.why.join("; "), title: s.why.join("\n") })))),
      h("p", { class: "sw-faint" }, "the same in a terminal: ", h("code", { text: command })),
    );
    run.focus();
  }

  async #begin(selection, run) {
    run.disabled = true;
    const answer = await this.panel.ask({ type: "begin", selection });
    run.disabled = false;
    if (this.#heard(answer)) this.planned.hidden = true;
  }

  draw() {
    const job = this.panel.get("running");
    if (!job?.state || (this.dismissed === job.begun && !["running", "stopping"].includes(job.state))) {
      this.job.hidden = true;
      return;
    }
    const going = job.state === "running" || job.state === "stopping";
    this.job.hidden = false;
    this.job.dataset.state = job.state;
    this.clock = h("span", { class: "sw-faint sw-numbers" });
    const stop = button(job.state === "stopping" ? "stopping…" : "stop", "stop the refresh; what was finished is kept", () => this.#stop(stop), { disabled: job.state === "stopping" });
    const close = button("close", "close this report", () => {
      this.dismissed = job.begun;
      this.draw();
    });
    const failed = job.failed.map((f) => h("p", { class: "sw-error", text: `${f.key}: ${f.message}` }));
    this.job.replaceChildren(
      h("div", { class: "sw-bar" }, h("code", { text: job.command }), h("b", { text: going ? job.state : job.state === "done" ? "done" : job.state }), this.clock,
        h("span", { text: job.words }), h("span", { class: "sw-space" }), going ? stop : close),
      ...failed,
      ...(going ? this.#bars(job) : []),
      h("div", { class: "sw-said" }, ...job.said.slice(-SAID).map((s) => h("p", { class: s.style === "good" ? "sw-good" : s.style === "bad" ? "sw-why" : "sw-faint", text: s.text }))),
    );
    this.#clock();
  }

  #bars(job) {
    return job.bars.map((b) => {
      const part = b.total ? Math.min(b.done / b.total, 1) : 0;
      const numbers = Object.entries(b.values).map(([k, v]) => `${k} ${Number(v.toPrecision(3))}`).join("  ");
      return h("div", { class: "sw-progress" },
        h("span", { text: b.key.split("/").slice(1).join("/") }), h("span", { class: "sw-faint", text: b.what }),
        h("span", { class: "sw-track", role: "progressbar", "aria-label": `${b.key} ${b.what}`, "aria-valuenow": b.done, "aria-valuemax": b.total || null }, h("i", { style: { width: `${part * 100}%` } })),
        h("span", { class: "sw-numbers sw-faint", text: `${b.done}${b.total ? `/${b.total}` : ""}  ${numbers}` }));
    });
  }

  async #stop(stop) {
    stop.disabled = true;
    stop.textContent = "stopping…";
    this.#heard(await this.panel.ask({ type: "stop" }));
  }

  #clock() {
    const job = this.panel.get("running");
    if (!this.clock || !["running", "stopping"].includes(job?.state)) return;
    const all = (job.steps ?? []).reduce((sum, s) => sum + (s.how === "restore" ? 0 : (s.seconds ?? 0)), 0);
    const about = all ? ` of about ${span(all)}` : "";
    this.clock.textContent = `${span((Date.now() - Date.parse(job.begun)) / 1000)}${about}`;
  }
}
