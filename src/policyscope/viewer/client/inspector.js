// What is known of the step that is shown, and what can be done with it: tabs beside the panels.
import { CATEGORIES } from "./colours.js";
import { Ask } from "./ask.js";
import { isMap } from "./names.js";
import { el, number } from "./numbers.js";
import { Results } from "./results.js";
import { colourOf } from "./timeline.js";

const TABS = { step: "This step", moments: "Moments", ask: "Ask", notes: "Notes", findings: "Findings", results: "Results", run: "Run" };

export class Inspector {
  constructor(view, root) {
    this.view = view;
    this.pages = {};
    this.buttons = {};
    const bar = el("div", { class: "tabs", role: "tablist" });
    const { manifest } = view;
    this.results = new Results(manifest, new Set(manifest.findings.map(figureTitle)));
    const empty = { findings: !manifest.findings.length, results: !this.results.entries.length };
    const tabs = Object.entries(TABS).filter(([name]) => !empty[name]);
    for (const [name, text] of tabs) {
      this.buttons[name] = el("button", {
        role: "tab", id: `tab-${name}`, "aria-controls": `page-${name}`, onclick: () => view.state.set({ tab: name }),
        onkeydown: (event) => this.walk(event, name, tabs.map(([n]) => n)),
      }, text);
      this.pages[name] = el("div", { class: "page", role: "tabpanel", id: `page-${name}`, "aria-labelledby": `tab-${name}` });
      bar.append(this.buttons[name]);
    }
    root.append(bar, ...Object.values(this.pages));
    this.ask = new Ask(view, this.pages.ask);
    this.buildStep();
    this.buildMoments();
    this.buildNotes();
    if (!empty.findings) this.buildFindings();
    if (!empty.results) this.pages.results.append(this.results.list, this.results.reader);
    this.buildRun();
    view.state.on((changed) => { if (changed.has("tab")) this.show(); });
    this.show();
  }

  walk(event, name, names) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.stopPropagation();
    event.preventDefault();
    const next = names[(names.indexOf(name) + by + names.length) % names.length];
    this.view.state.set({ tab: next });
    this.buttons[next].focus();
  }

  show() {
    const { tab } = this.view.state;
    const open = this.pages[tab] ? tab : "step";
    for (const [name, page] of Object.entries(this.pages)) {
      page.hidden = name !== open;
      this.buttons[name].setAttribute("aria-selected", name === open);
      this.buttons[name].tabIndex = name === open ? 0 : -1;
    }
    this.view.redraw();
  }

  draw() {
    const { tab } = this.view.state;
    if (tab === "ask") this.ask.draw();
    else if (tab === "step" || !this.pages[tab]) this.drawStep();
  }

  // -- this step ------------------------------------------------------------------------------------------------

  buildStep() {
    this.facts = el("dl", { class: "facts" });
    this.bars = el("div", { class: "bars" });
    this.pages.step.append(this.facts, this.bars, el("p", { class: "hint" },
      !this.view.manifest.actions?.length ? "" : `Click an action to explain it in the selected panel${this.view.manifest.computes ? "; “vs” contrasts the action taken with it" : ", where that was stored"}.`));
    this.rows = [];
  }

  drawStep() {
    const { view } = this;
    const { timeline, state } = view;
    if (!timeline.groups) return;
    const row = state.step;
    const value = (group, name) => timeline.column(group, name)?.values[row];
    const taken = value("action"), greedy = value("greedy");
    const facts = [
      ["step", `${row} of ${view.manifest.steps}`],
      ["action", taken === undefined ? "–" : view.actionName(row) + (greedy === 0 ? " (not the best)" : "")],
      ["reward", number(value("reward") ?? 0)],
      ["lives", value("lives") === undefined || Number.isNaN(value("lives")) ? "–" : String(value("lives"))],
    ];
    this.facts.replaceChildren(...facts.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]));
    const groups = [...timeline.groups.keys()].filter((g) => g.startsWith("stream:") && g !== "stream:log_std");
    const wanted = groups.map((group) => [group, timeline.groups.get(group)]);
    if (this.bars.childElementCount !== wanted.length) {
      this.bars.replaceChildren(...wanted.map(([group, columns]) => this.barsOf(group, columns)));
    }
    wanted.forEach(([group, columns], i) => this.fillBars(this.bars.children[i], group, columns, row, taken));
  }

  barsOf(group, columns) {
    const stream = group.slice(7);
    const list = columns.map((column, i) => {
      const many = columns.length > 1 && this.view.manifest.actions?.[i] === column.name;
      const name = el("button", {
        class: "name", disabled: !many, title: many ? `explain ${stream} of ${column.name} in the selected panel` : "",
        onclick: () => this.view.explainAction(stream, String(i)),
      }, columns.length > 1 ? column.name : stream);
      const against = many && this.view.manifest.computes && el("button", {
        class: "against", title: `contrast the action taken with ${column.name}`, onclick: () => this.view.contrastAction(stream, i),
      }, "vs");
      return el("div", { class: "bar" }, el("i", { class: "key", style: { background: columns.length > 1 ? CATEGORIES[i % CATEGORIES.length] : "#56a8f0" } }),
        name, el("span", { class: "track" }, el("b")), el("span", { class: "number" }), against);
    });
    return el("section", {}, columns.length > 1 ? el("h3", {}, stream) : null, ...list);
  }

  fillBars(section, group, columns, row, taken) {
    const extent = this.view.extent(group);
    const low = Math.min(extent[0], 0), high = Math.max(extent[1], 0);
    const span = high - low || 1;
    const bars = section.querySelectorAll(".bar");
    columns.forEach(({ values }, i) => {
      const value = values[row];
      const bar = bars[i], fill = bar.querySelector("b");
      const [from, to] = [Math.min(value, 0), Math.max(value, 0)];
      fill.style.left = `${(100 * (from - low)) / span}%`;
      fill.style.width = Number.isFinite(value) ? `${(100 * (to - from)) / span}%` : "0";
      bar.querySelector(".number").textContent = number(value);
      bar.classList.toggle("taken", columns.length > 1 && i === taken && this.view.manifest.actions?.[i] === columns[i].name);
    });
  }

  // -- moments and notes ----------------------------------------------------------------------------------------

  buildMoments() {
    const { markers } = this.view.manifest;
    const kinds = [...new Set(markers.map((marker) => marker.kind))];
    this.pages.moments.replaceChildren(...(markers.length ? kinds.map((kind) => el("section", {},
      el("h3", {}, el("i", { class: "diamond", style: { background: colourOf(kind) } }), KINDS[kind] ?? kind),
      el("ul", { class: "moments" }, ...markers.filter((m) => m.kind === kind).map(({ step, text }) => el("li", {},
        el("button", { onclick: () => this.view.jump(step) }, el("b", {}, String(step)), ` ${text}`)))))) : [el("p", { class: "hint" }, "Nothing stands out in this episode yet.")]));
  }

  buildNotes() {
    this.text = el("textarea", { rows: 3, "aria-label": "a note on this step", placeholder: "What do you see at this step?" });
    this.list = el("ul", { class: "notes" });
    const add = el("button", { onclick: () => {
      const text = this.text.value.trim();
      if (text) this.view.setNotes([...this.view.notes.filter((n) => n.step !== this.view.state.step || n.text !== text), { step: this.view.state.step, text }]);
      this.text.value = "";
    } }, "Add to this step");
    const save = this.view.canSave ? el("button", { onclick: () => this.view.saveCopy() }, "Save a copy of this file with the notes") : null;
    this.pages.notes.append(this.text, el("div", { class: "row" }, add, save), this.list);
    this.drawNotes();
  }

  drawNotes() {
    const { view } = this;
    const notes = [...view.notes].sort((a, b) => a.step - b.step);
    this.list.replaceChildren(...notes.map((note) => el("li", {},
      el("button", { onclick: () => view.jump(note.step) }, el("b", {}, String(note.step)), ` ${note.text}`),
      el("button", { class: "icon", "aria-label": `delete the note on step ${note.step}`, onclick: () => view.setNotes(view.notes.filter((n) => n !== note)) }, "×"))));
  }

  // -- findings, how it was made ------------------------------------------------------------------------

  buildFindings() {
    const { manifest } = this.view;
    this.pages.findings.append(...manifest.findings.map((finding) => {
      const figure = manifest.figures.find(({ title }) => title === figureTitle(finding));
      return el("section", { class: `finding ${finding.severity}` },
        el("h3", {}, `${finding.severity}: ${finding.rule}${finding.sure ? ` (${finding.sure})` : ""}`),
        el("p", {}, [finding.where, finding.evidence].filter(Boolean).map((v) => (typeof v === "string" ? v : Object.entries(v).map(([k, x]) => `${k} ${typeof x === "number" ? number(x) : x}`).join(", "))).join(": ")),
        figure ? el("figure", {}, el("img", { alt: `evidence of ${finding.rule}`, src: `data:image/png;base64,${figure.png}` })) : null,
        finding.advice ? el("p", { class: "hint" }, finding.advice) : null);
    }));
  }

  buildRun() {
    const { manifest } = this.view;
    const facts = [
      ["agent", manifest.agent], ["game", manifest.game], ["acts", manifest.policy], ["seed", manifest.seed], ["steps", manifest.steps],
      ["input", `${manifest.input.lags} × ${manifest.input.height} × ${manifest.input.width}${manifest.input.colours > 1 ? ` × ${manifest.input.colours}` : ""}`],
      ["outputs", manifest.streams.map((s) => `${s.name} (${s.size})`).join(", ")], ["layers", manifest.layers.join(", ")],
      manifest.left_out ? ["this file", manifest.left_out] : null, manifest.message ? ["note", manifest.message] : null,
    ].filter((entry) => entry && entry[1] !== null && entry[1] !== undefined && entry[1] !== "");
    this.pages.run.replaceChildren(
      el("dl", { class: "facts" }, ...facts.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, String(text))])));
  }
}

// A figure's title is its file's name with blanks, which a finding names by its path.
function figureTitle({ picture }) {
  return picture ? picture.split("/").pop().replace(/\.png$/, "").replace(/[-_]/g, " ") : null;
}

const KINDS = {
  reward: "Rewards", loss: "Lives lost", advantage: "Highest and lowest advantage", surprise: "Surprises (temporal-difference error)",
  value: "Jumps of the value", tie: "Close calls between actions", disagreement: "Methods disagree most",
};

export function selectedMap(view) {
  const panel = view.state.panels[view.state.selected];
  return panel && isMap(panel.key) ? panel : view.state.panels.find(({ key }) => isMap(key));
}
