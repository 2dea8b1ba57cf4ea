// The page: its parts, and what happens when something changes.
import { readSeries, unbundle } from "./bytes.js";
import { Controls, INTRODUCTION } from "./controls.js";
import { Inspector, selectedMap } from "./inspector.js";
import { Live } from "./live.js";
import { Names, isMap, join, parts } from "./names.js";
import { clamp, el } from "./numbers.js";
import { Painter } from "./painter.js";
import { Panels } from "./panels.js";
import { copyOf, download, gif, picture } from "./save.js";
import { State } from "./state.js";
import { Store } from "./store.js";
import { Timeline } from "./timeline.js";

export class View {
  constructor(root, source, manifest, { address = true } = {}) {
    this.root = root;
    this.source = source;
    this.manifest = manifest;
    this.address = address;
    this.names = new Names(manifest);
    this.notes = manifest.notes;
    this.canSave = Boolean(source.block) && address;
    this.pointer = null;
    this.playing = false;
    this.extents = new Map();
    this.track = 0;
    this.state = new State(manifest, address ? location.hash : "");
    this.store = new Store(source, manifest, () => this.redraw());
    this.painter = new Painter(manifest);
    this.build();
    this.state.on((changed) => this.changed(changed));
    if (address) addEventListener("hashchange", () => this.follow());
    this.applyTheme();
    this.settle();
    this.loadSeries();
    if (manifest.live) this.live = new Live(this, this.strip);
    this.redraw();
  }

  build() {
    const bar = el("header", { class: "bar" });
    this.strip = el("div", { class: "strip", hidden: true });
    this.hello = this.introduction();
    this.grid = el("section", { class: "grid", "aria-label": "panels" });
    const side = el("aside", { class: "side", "aria-label": "details" });
    const line = this.line = el("section", { class: "timeline", "aria-label": "timeline" });
    this.app = el("div", { class: "app" }, bar, this.strip, this.hello, el("main", {}, this.grid, side), line);
    this.root.replaceChildren(this.app);
    this.panels = new Panels(this, this.grid);
    this.timeline = new Timeline(this, line);
    this.inspector = new Inspector(this, side);
    this.controls = new Controls(this, bar);
    this.grid.addEventListener("wheel", (event) => {
      if (!event.target.closest?.(".stage") || event.ctrlKey) return;
      event.preventDefault();
      this.jump(this.state.step + Math.sign(event.deltaY || event.deltaX));
    }, { passive: false });
    const watch = new ResizeObserver(() => this.settle());
    for (const node of [this.app, line, bar]) watch.observe(node);
  }

  introduction() {
    let seen = null;
    try { seen = localStorage.getItem("policyscope-seen"); } catch { /* not kept from a file, nor in a notebook */ }
    const close = () => {
      hello.remove();
      this.settle();
      try { localStorage.setItem("policyscope-seen", "1"); } catch { /* the same */ }
    };
    const hello = el("section", { class: "hello", "aria-label": "introduction" },
      el("p", {}, el("b", {}, "What does this agent look at? "), INTRODUCTION[0], " ", INTRODUCTION[1]),
      el("button", { class: "primary", onclick: close }, "Got it"));
    hello.hidden = seen === "1";
    return hello;
  }

  async loadSeries() {
    try {
      this.takeSeries(await readSeries(unbundle(await this.source.get("series"))));
    } catch (error) {
      this.message = error.message;
    }
    this.redraw();
  }

  takeSeries(series) {
    this.extents.clear();
    this.timeline.take(series);
  }

  // -- what is asked of the page --------------------------------------------------------------------------------

  jump(step) {
    const to = this.nearest(clamp(step, 0, Math.max(this.manifest.steps - 1, 0)), Math.sign(step - this.state.step) || 1);
    if (this.live) this.live.follow = to >= this.manifest.steps - 1 && !this.playing;
    this.state.set({ step: to });
  }

  // The next row that can be had: a file may leave some out.
  nearest(step, direction) {
    if (this.store.has(step)) return step;
    for (let by = 1; by < this.manifest.steps; by++) {
      for (const to of [step + by * direction, step - by * direction]) {
        if (to >= 0 && to < this.manifest.steps && this.store.has(to)) return to;
      }
    }
    return step;
  }

  moment(direction) {
    const steps = [...this.manifest.markers, ...this.notes].map((m) => m.step).sort((a, b) => a - b);
    const next = direction > 0 ? steps.find((s) => s > this.state.step) : steps.findLast((s) => s < this.state.step);
    if (next !== undefined) this.jump(next);
  }

  toggle() {
    this.playing = !this.playing;
    if (this.playing) {
      const last = this.manifest.steps - 1;
      if (this.state.step >= last && !this.state.loop) this.state.set({ step: this.nearest(0, 1) });
      this.clock = performance.now();
      this.due = 0;
    }
    this.redraw();
  }

  loop() {
    const { loop, step } = this.state;
    if (loop) { this.state.set({ loop: null }); this.began = undefined; return; }
    if (this.began === undefined) { this.began = step; this.flash(`loop from step ${step}: press l where it ends`); return; }
    this.state.set({ loop: this.began === step ? null : [Math.min(this.began, step), Math.max(this.began, step)] });
    this.began = undefined;
  }

  advance(now) {
    const { state, manifest } = this;
    this.due += ((now - this.clock) / 1000) * state.rate;
    this.clock = now;
    const by = Math.floor(this.due);
    if (!by) return;
    this.due -= by;
    // A row whose pictures are still on their way is waited for, rather than skipped.
    const last = manifest.steps - 1;
    let step = state.step + by;
    if (state.loop && (step > state.loop[1] || step < state.loop[0])) step = state.loop[0];
    step = this.nearest(Math.min(step, last), 1);
    if (!this.ready(step)) { this.due = 0; return; }
    if (step === last && !state.loop) this.playing = false;
    state.set({ step });
  }

  point(at) {
    const { width, height } = this.manifest.input;
    const inside = at && at.x >= 0 && at.y >= 0 && at.x < width && at.y < height;
    this.pointer = inside ? at : null;
    this.redraw();
  }

  setBox(a, b) {
    const { width, height } = this.manifest.input;
    const [left, right] = [a.x, b.x].sort((x, y) => x - y).map((x) => clamp(Math.round(x), 0, width));
    const [top, bottom] = [a.y, b.y].sort((x, y) => x - y).map((y) => clamp(Math.round(y), 0, height));
    if (right > left && bottom > top) this.state.set({ box: [top, left, bottom - top, right - left] });
  }

  addPanel() {
    const shown = new Set(this.state.panels.map((panel) => panel.key));
    const next = this.names.stored.find((key) => !shown.has(key));
    const methods = this.names.choices(this.manifest.first.find(isMap) ?? "gradient~~~~~", "method").filter((m) => m !== "screen" && m !== "input");
    const used = new Set([...shown].map((key) => parts(key).method));
    const model = selectedMap(this)?.key ?? this.manifest.first.find(isMap);
    const other = model && methods.find((m) => !used.has(m));
    this.panels.add(next ?? (other ? this.names.changed(model, "method", other) : model ?? join({ method: "screen" })));
  }

  explainAction(stream, action) {
    this.retarget({ stream, action });
  }

  contrastAction(stream, other) {
    const taken = this.timeline.column("action")?.values[this.state.step];
    if (taken === undefined || taken === other) return;
    this.retarget({ stream, action: `${taken}-${other}` });
  }

  retarget(fields) {
    const panel = selectedMap(this);
    if (!panel) return;
    let { key } = panel;
    for (const [field, value] of Object.entries(fields)) key = this.names.changed(key, field, value);
    this.state.setPanel(this.state.panels.indexOf(panel), { key, minus: undefined });
  }

  async setNotes(notes) {
    const before = this.notes;
    const show = (kept) => {
      this.notes = kept;
      this.timeline.stale = true;
      this.inspector.drawNotes();
      this.redraw();
    };
    show(notes);
    try {
      // What another page has added in the meantime stays.
      const kept = await this.source.post?.("/notes", { notes, before });
      if (kept?.notes) show(kept.notes);
    } catch (error) {
      this.flash(error.message);
    }
  }

  actionName(row) {
    const value = this.timeline.column("action")?.values[row];
    if (value === undefined || Number.isNaN(value)) return "";
    return this.manifest.actions?.[value] ?? `action ${value}`;
  }

  now() {
    const { state, manifest } = this;
    return `step ${state.step} of ${manifest.steps}${this.actionName(state.step) ? ` · ${this.actionName(state.step)}` : ""}`;
  }

  extent(group) {
    const steps = this.manifest.steps;
    const known = this.extents.get(group);
    if (known?.steps === steps) return known.range;
    let low = Infinity, high = -Infinity;
    for (const { values } of this.timeline.groups.get(group)) {
      for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
    }
    this.extents.set(group, { steps, range: [low, high] });
    return [low, high];
  }

  flash(text) {
    this.note?.remove();
    this.note = el("div", { class: "flash", role: "status" }, text);
    this.app.append(this.note);
    setTimeout(() => this.note?.remove(), 4000);
  }

  // -- files ----------------------------------------------------------------------------------------------------

  savePicture() {
    this.drawNow();
    picture(this, 2).toBlob((blob) => download(blob, `${this.fileName()}-${this.state.step}.png`));
  }

  async saveFilm() {
    const { state, manifest } = this;
    const before = state.step;
    const [from, to] = state.loop ?? [before, Math.min(before + 2 * state.rate, manifest.steps - 1)];
    const every = Math.max(1, Math.ceil((to - from + 1) / 60));
    const frames = [];
    this.flash("making the GIF …");
    for (let step = from; step <= to; step += every) {
      if (!this.store.has(step)) continue;
      state.set({ step });
      while (!this.ready(step)) await new Promise((resume) => setTimeout(resume, 10));
      this.drawNow();
      frames.push(picture(this));
      await new Promise((resume) => setTimeout(resume));
    }
    state.set({ step: before });
    if (frames.length) download(gif(frames, Math.max(every / state.rate, 0.02)), `${this.fileName()}-${from}-${to}.gif`);
  }

  // The row of a course of the game at the moment that is shown.
  rowIn(track) {
    return track === undefined ? this.state.step : this.live ? this.live.rowIn(track) : null;
  }

  ready(step) {
    return this.panels.kinds().every((kind) => this.store.chunk(kind, step) || this.store.error(kind, step));
  }

  fileName() {
    return this.manifest.title.replace(/[^\w-]+/g, "-").replace(/^-+|-+$/g, "").toLowerCase() || "policyscope";
  }

  saveCopy() {
    download(copyOf(document.documentElement, this.manifest, this.notes), `${this.fileName()}-notes.html`);
  }

  // -- drawing --------------------------------------------------------------------------------------------------

  changed(changed) {
    if (changed.has("theme")) this.applyTheme();
    if (["width", "panels", "hidden"].some((name) => changed.has(name))) this.settle();
    this.redraw();
    if (this.address) {
      clearTimeout(this.writing);
      this.writing = setTimeout(() => {
        const hash = this.state.write();
        if (hash !== location.hash) history.replaceState(null, "", hash);
      }, 150);
    }
  }

  // The address was changed by hand, or a link within the page was followed.
  follow() {
    const fresh = new State(this.manifest, location.hash);
    const { listeners, ...values } = fresh;
    this.state.set(values);
    this.panels.build();
  }

  applyTheme() {
    const { theme } = this.state;
    this.app.dataset.theme = theme;
    this.timeline.stale = true;
  }

  // Sizes follow what else stands on the page; they are known once it has been laid out.
  settle() {
    requestAnimationFrame(() => {
      this.panels?.layout();
      this.redraw();
    });
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame((now) => {
      this.waiting = false;
      if (this.playing) this.advance(now);
      this.live?.advance(now);
      this.drawNow();
      if (this.playing || this.live?.moving) this.redraw();
    });
  }

  drawNow() {
    const { state, manifest } = this;
    if (!manifest.steps) return;
    const began = performance.now();
    this.panels.draw();
    this.timeline.draw();
    this.inspector.draw();
    this.controls.draw();
    this.store.prefetch(this.panels.kinds(), state.step, manifest.steps);
    this.milliseconds = performance.now() - began;
    this.drawn = (this.drawn ?? 0) + 1;
  }
}
