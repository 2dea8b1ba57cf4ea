// Questions: what changes if a part of the picture is hidden, and where else does the agent look at it?
import { rawValues } from "./painter.js";
import { isMap } from "./names.js";
import { el, number, percent } from "./numbers.js";

const WAYS = { blur: "blurred", mean: "its mean colour", zero: "black", shuffle: "shuffled", freeze: "frozen: the frame before" };

export class Ask {
  constructor(view, root) {
    this.view = view;
    this.root = root;
    const { manifest } = view;
    this.region = el("p", { class: "region" });
    this.how = el("select", { "aria-label": "how it is hidden" }, ...Object.entries(WAYS).map(([value, text]) => el("option", { value }, text)));
    this.lags = el("fieldset", { class: "lags" }, el("legend", {}, "in frames"),
      ...Array.from({ length: manifest.input.lags }, (_, i) => el("label", {}, el("input", { type: "checkbox", value: i, checked: true }), `t-${i}`)));
    this.edit = el("button", { class: "primary", onclick: () => this.askEdit() }, "Hide it: what changes?");
    this.answer = el("div", { class: "answer", "aria-live": "polite" });
    this.share = el("input", { type: "range", min: 1, max: 95, value: 30, "aria-label": "share of the map" });
    this.shareText = el("output", {}, "30 %");
    this.share.addEventListener("input", () => { this.shareText.textContent = `${this.share.value} %`; });
    this.find = el("button", { onclick: () => this.askInside() }, "Find such steps");
    this.list = el("div", { class: "answer", "aria-live": "polite" });
    root.append(
      el("p", { class: "hint" }, "Draw a box on a panel with the mouse, or ask about the whole picture."), this.region,
      manifest.asks ? el("section", {}, el("h3", {}, "Does the agent need it?"), el("div", { class: "row" }, "shown", this.how), this.lags, this.edit, this.answer)
        : el("p", { class: "hint" }, "“What changes if it is hidden?” needs the agent: policyscope view answers it."),
      el("section", {}, el("h3", {}, "When is it looked at?"), el("p", { class: "hint" }, "Steps at which more than this share of the selected panel's map lies in the box:"),
        el("div", { class: "row" }, this.share, this.shareText, this.find), this.list));
  }

  draw() {
    const { box } = this.view.state;
    const text = box ? `Box: ${Math.round(box[3])} × ${Math.round(box[2])} pixels of the input, ${Math.round(box[1])} from the left, ${Math.round(box[0])} from the top` : "No box: the whole picture";
    if (this.region.textContent !== text) this.region.textContent = text;
    this.find.disabled = !box;
  }

  async askEdit() {
    const { view } = this;
    const step = view.state.step;
    const lags = [...this.lags.querySelectorAll("input:checked")].map((box) => Number(box.value));
    this.answer.replaceChildren(el("p", { class: "hint" }, "asking …"));
    try {
      const found = await view.source.ask({ kind: "edit", step, agent: "", region: view.state.box?.map(Math.round) ?? null, lags, how: this.how.value, track: view.track });
      this.show(found, step);
    } catch (error) {
      this.answer.replaceChildren(el("p", { class: "error" }, error.message));
    }
  }

  show({ before, after, actions, picture }, step) {
    const names = this.view.manifest.actions ?? [];
    const tables = Object.keys(before).filter((name) => name !== "log_std").map((name) => {
      const values = before[name];
      const most = Math.max(...values.map((v, i) => Math.abs(after[name][i] - v)), 1e-12);
      return el("table", {}, el("caption", {}, name), el("tbody", {}, ...values.map((value, i) => {
        const change = after[name][i] - value;
        return el("tr", {}, el("th", { scope: "row" }, values.length > 1 ? names[i] ?? String(i) : name), el("td", {}, number(value)), el("td", {}, "→"), el("td", {}, number(after[name][i])),
          el("td", { class: Math.abs(change) >= 0.999 * most ? "most" : "" }, (change > 0 ? "+" : "") + number(change)));
      })));
    });
    const same = actions && actions.before === actions.after;
    const word = (action) => names[action] ?? String(action);
    this.answer.replaceChildren(
      el("p", {}, `Step ${step}: `, el("b", {}, actions ? (same ? `still ${word(actions.before)}` : `${word(actions.before)} becomes ${word(actions.after)}`) : "")),
      picture ? el("img", { src: picture, alt: "what the network saw", class: "edited" }) : null, ...tables);
  }

  async askInside() {
    const { view } = this;
    const panel = view.state.panels[view.state.selected];
    const chosen = panel && isMap(panel.key) ? panel : view.state.panels.find(({ key }) => isMap(key));
    if (!chosen || !view.state.box) return;
    const share = Number(this.share.value) / 100;
    this.list.replaceChildren(el("p", { class: "hint" }, "looking …"));
    try {
      const found = view.source.ask
        ? await view.source.ask({ kind: "inside", panel: chosen.key, region: view.state.box.map(Math.round), share, track: view.track })
        : await this.inside(chosen.key, view.state.box, share);
      view.timeline.found = new Set(found.steps);
      view.timeline.stale = true;
      this.list.replaceChildren(
        el("p", {}, `${found.steps.length} steps, marked on the timeline: ${view.names.title(chosen.key)}`),
        el("div", { class: "chips" }, ...found.steps.slice(0, 200).map((step, i) => el("button", { onclick: () => view.jump(step), title: percent(found.shares[i]) }, String(step)))));
      view.redraw();
    } catch (error) {
      this.list.replaceChildren(el("p", { class: "error" }, error.message));
    }
  }

  // The same over what a file holds.
  async inside(key, [top, left, height, width], share) {
    const { store, manifest } = this.view;
    const { height: rows, width: columns } = manifest.input;
    const values = new Float32Array(rows * columns);
    const found = { steps: [], shares: [] };
    for (let step = 0; step < manifest.steps; step++) {
      if (!store.has(step)) continue;
      let chunk = store.chunk(`maps/${key}`, step);
      while (!chunk && !store.error(`maps/${key}`, step)) {
        await new Promise((resume) => setTimeout(resume, 5));
        chunk = store.chunk(`maps/${key}`, step);
      }
      if (!chunk) continue;
      rawValues(chunk, step, manifest.input, values);
      let all = 0, inside = 0;
      for (let y = 0, i = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++, i++) {
          const size = Math.abs(values[i]);
          all += size;
          if (y >= top && y < top + height && x >= left && x < left + width) inside += size;
        }
      }
      if (all && inside / all > share) { found.steps.push(step); found.shares.push(inside / all); }
    }
    return found;
  }
}
