// One panel: what it shows, the menus that change it, and the scale below it.
import { barOf } from "./colours.js";
import { isMap, parts } from "./names.js";
import { el, number, percent } from "./numbers.js";
import { drawPicture, frameOf, rawValues } from "./painter.js";

const FIELD_TITLES = { method: "method", stream: "what is explained", action: "action", layer: "layer", lag: "frame", agent: "agent" };

export class Card {
  constructor(panels, index) {
    this.panels = panels;
    this.view = panels.view;
    this.index = index;
    this.selects = {};
    const select = (field) => el("select", {
      class: `field ${field}`, "aria-label": FIELD_TITLES[field], title: FIELD_TITLES[field],
      onchange: (event) => this.choose(field, event.target.value),
    });
    for (const field of Object.keys(FIELD_TITLES)) this.selects[field] = select(field);
    const { method, ...others } = this.selects;
    this.more = el("button", { class: "icon", "aria-label": "panel menu", title: "Move, enlarge, compare, remove", onclick: () => this.menu() }, "⋯");
    this.handle = el("span", { class: "handle", draggable: "true", title: "Drag to move this panel", "aria-hidden": "true" }, "⠿");
    this.badge = el("span", { class: "badge" });
    this.trust = el("div", { class: "trust", hidden: true });
    this.canvas = el("canvas", { class: "picture", role: "img", tabindex: "0" });
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.plate = el("div", { class: "plate", hidden: true });
    this.bar = el("i", { class: "scale" });
    this.low = el("span", { class: "end" });
    this.high = el("span", { class: "end" });
    this.told = el("span", { class: "told" });
    this.popup = el("div", { class: "popup", hidden: true, role: "menu" });
    this.root = el("article", { class: "panel", onpointerdown: () => this.view.state.set({ selected: this.index }) },
      el("header", {}, this.handle, method, this.badge, this.more),
      el("div", { class: "fields" }, ...Object.values(others)),
      this.trust,
      el("div", { class: "stage" }, this.canvas, this.plate),
      el("footer", {}, this.low, this.bar, this.high, this.told),
      this.popup);
    this.listen();
  }

  listen() {
    this.handle.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("text/x-panel", String(this.index));
      event.dataTransfer.effectAllowed = "move";
    });
    this.root.addEventListener("dragover", (event) => {
      if (event.dataTransfer.types.includes("text/x-panel")) { event.preventDefault(); this.root.classList.add("target"); }
    });
    this.root.addEventListener("dragleave", () => this.root.classList.remove("target"));
    this.root.addEventListener("drop", (event) => {
      this.root.classList.remove("target");
      const from = event.dataTransfer.getData("text/x-panel");
      if (from !== "") { event.preventDefault(); this.panels.move(Number(from), this.index); }
    });
    let began = null;
    const place = (event) => {
      const bounds = this.canvas.getBoundingClientRect();
      const seen = this.view.painter.seen({ width: bounds.width, height: bounds.height });
      const { width, height } = this.view.manifest.input;
      return {
        x: ((event.clientX - bounds.left - seen.left) / seen.width) * width,
        y: ((event.clientY - bounds.top - seen.top) / seen.height) * height,
      };
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      began = place(event);
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const at = place(event);
      this.view.point(at);
      if (began && Math.hypot(at.x - began.x, at.y - began.y) > 1.5) this.view.setBox(began, at);
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (began) {
        const at = place(event);
        if (Math.hypot(at.x - began.x, at.y - began.y) <= 1.5) this.view.state.set({ box: null });
        else this.view.state.set({ tab: "ask" });
      }
      began = null;
    });
    this.canvas.addEventListener("pointerleave", () => this.view.point(null));
    this.canvas.addEventListener("dblclick", () => this.view.state.setPanel(this.index, { wide: !this.panel.wide }));
  }

  choose(field, value) {
    this.view.state.setPanel(this.index, { key: this.view.names.changed(this.panel.key, field, value), minus: undefined });
  }

  update(panel) {
    const { names, manifest } = this.view;
    this.panel = panel;
    this.signed = panel.minus ? true : names.signed(panel.key);
    const now = parts(panel.key);
    for (const [field, node] of Object.entries(this.selects)) {
      const known = names.choices(panel.key, field);
      if (!known.includes(now[field]) && now[field] !== "") known.push(now[field]);
      node.replaceChildren(...known.map((value) => el("option", { value }, names.label(field, value))));
      node.value = now[field];
      const plain = field === "action" && now.stream === "value";
      node.hidden = field !== "method" && (plain || !known.some((value) => value !== ""));
      node.disabled = known.length < 2;
    }
    this.root.classList.toggle("wide", Boolean(panel.wide));
    const own = ["norm", "gain", "opacity", "palette"].some((name) => name in panel);
    this.badge.textContent = panel.track !== undefined ? this.view.live?.called(panel.track) ?? "" : panel.minus ? `minus ${names.title(panel.minus)}` : own ? "own look" : "";
    this.badge.title = this.badge.textContent;
    const trusted = names.trusted(panel.key);
    this.trust.hidden = !trusted.length || Boolean(panel.minus);
    this.trust.replaceChildren(...trusted.map(({ answer, words, text }) => el("span", { class: `chip ${answer}`, title: text }, words)));
    this.canvas.setAttribute("aria-label", `${names.title(panel.key)}, ${names.detail(panel.key)}`);
    this.canvas.title = names.meaning(panel.key);
    const map = isMap(panel.key);
    this.root.querySelector("footer").classList.toggle("nothing", !map);
    if (map) this.bar.style.background = barOf(manifest.palettes[this.panels.paletteOf(panel, this.signed)] ?? manifest.palettes.ember, this.signed);
    this.view.redraw();
  }

  fit() {
    const { screen } = this.view.manifest;
    const across = Math.max(Math.round(this.canvas.clientWidth * Math.min(devicePixelRatio || 1, 2)), 64);
    const down = Math.round((across * screen.height) / (screen.width * screen.pixel));
    if (this.canvas.width !== across || this.canvas.height !== down) {
      this.canvas.width = across;
      this.canvas.height = down;
    }
  }

  draw() {
    const { state, store, painter } = this.view;
    const { key, minus } = this.panel;
    this.fit();
    const { track } = this.panel;
    const row = this.view.rowIn(track);
    if (row === null) {
      painter.prepare(undefined, 0, state.ground);
      painter.ground(this.context);
      this.tell(null);
      return this.say("this course has no such step", true);
    }
    const at = track === undefined ? "" : `@${track}`;
    if (at) painter.prepare(store.chunk(`screens${at}`, row), row, state.ground);
    const wanted = [key, minus].filter(Boolean).map((name) => kindOf(name) + at);
    const chunks = wanted.map((kind) => store.chunk(kind, row));
    const missing = wanted.find((_, i) => !chunks[i]);
    if (missing || !store.has(row)) {
      const error = missing && store.error(missing, row);
      this.say(store.has(row) ? error ?? "…" : "left out of this file", Boolean(error) || !store.has(row));
      if (!this.drawn || error || !store.has(row)) painter.ground(this.context);
      if (error || !store.has(row)) this.tell(null);
      return;
    }
    this.drawn = true;
    if (!isMap(key)) {
      this.drawPicture(chunks[0], row);
      this.say("");
    } else {
      const norm = state.of(this.panel, "norm"), gain = state.of(this.panel, "gain");
      const episodes = [key, minus].map((name) => (name && norm.endsWith("episode") ? store.episode(name) : null));
      const colours = this.panels.coloursOf(this.panel, this.signed);
      const found = minus
        ? painter.difference(this.context, ...chunks.map((chunk, i) => ({ chunk, signed: this.view.names.signed([key, minus][i]), episode: episodes[i] })), row, norm, gain, colours, state.smooth)
        : painter.map(this.context, chunks[0], row, this.signed, norm, episodes[0], gain, colours, state.smooth);
      this.say(found.zero ? (this.signed ? "no gradient" : "nothing positive") : "", false);
      this.tell(found, chunks[0], row);
    }
    this.drawMarks();
  }

  drawPicture(chunk, row) {
    const { width, height } = this.canvas;
    const { lag, method } = parts(this.panel.key);
    const context = this.context;
    context.fillStyle = "#0b0e13";
    context.fillRect(0, 0, width, height);
    if (method === "screen") return drawPicture(context, chunk, row - chunk.first, 0, 0, width, height);
    if (lag !== "all") {
      const seen = this.view.painter.seen(this.canvas);
      context.drawImage(this.view.painter.backdrop, 0, 0, width, height);
      return drawPicture(context, chunk, frameOf(chunk, row, Number(lag || 0)), seen.left, seen.top, seen.width, seen.height);
    }
    const across = Math.ceil(Math.sqrt(chunk.lags)), down = Math.ceil(chunk.lags / across);
    for (let i = 0; i < chunk.lags; i++) {
      const [w, h] = [width / across, height / down];
      const [x, y] = [(i % across) * w, Math.floor(i / across) * h];
      drawPicture(context, chunk, frameOf(chunk, row, chunk.lags - 1 - i), x + 1, y + 1, w - 2, h - 2);
      context.fillStyle = "#000a";
      context.fillRect(x + 1, y + 1, 30, 16);
      context.fillStyle = "#fff";
      context.font = "11px system-ui, sans-serif";
      context.fillText(`t-${chunk.lags - 1 - i}`, x + 5, y + 13);
    }
  }

  drawMarks() {
    const { pointer, state, painter, manifest } = this.view;
    const seen = painter.seen(this.canvas);
    const across = seen.width / manifest.input.width, down = seen.height / manifest.input.height;
    const context = this.context;
    const { lag } = parts(this.panel.key);
    if (lag === "all") return;
    if (state.box) {
      const [top, left, height, width] = state.box;
      context.lineWidth = 2;
      for (const [colour, dash] of [["#000", []], ["#fff", [5, 4]]]) {
        context.strokeStyle = colour;
        context.setLineDash(dash);
        context.strokeRect(seen.left + left * across, seen.top + top * down, width * across, height * down);
      }
      context.setLineDash([]);
    }
    if (pointer) {
      const x = seen.left + (Math.floor(pointer.x) + 0.5) * across, y = seen.top + (Math.floor(pointer.y) + 0.5) * down;
      context.strokeStyle = "#fff9";
      context.lineWidth = 1;
      context.strokeRect(x - across / 2, y - down / 2, across, down);
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + dx * 5, y + dy * 5);
        context.lineTo(x + dx * 12, y + dy * 12);
      }
      context.stroke();
    }
  }

  say(text, loud = false) {
    if (this.plate.textContent !== text) this.plate.textContent = text;
    this.plate.hidden = !text;
    this.plate.classList.toggle("loud", loud);
  }

  // The scale, the share of the map that lies beyond it, and the value under the pointer.
  tell(found, chunk, row) {
    const { pointer, manifest, painter } = this.view;
    if (!found || found.zero) {
      this.low.textContent = this.high.textContent = "";
      this.told.textContent = "";
      return;
    }
    this.low.textContent = this.signed ? number(-found.scale) : "0";
    this.high.textContent = number(found.scale);
    if (pointer && !this.panel.minus) {
      const values = rawValues(chunk, row, manifest.input, this.panels.values);
      const value = values[Math.floor(pointer.y) * painter.size.width + Math.floor(pointer.x)];
      this.told.textContent = `= ${number(value)}`;
      this.told.classList.add("value");
    } else {
      this.told.textContent = `${percent(found.clipped)} clipped`;
      this.told.classList.remove("value");
    }
  }

  // -- the panel's menu -----------------------------------------------------------------------------------------

  menu() {
    if (!this.popup.hidden) { this.popup.hidden = true; return; }
    const { state, names } = this.view;
    const item = (text, act, disabled = false) => el("button", {
      role: "menuitem", disabled, onclick: () => { this.popup.hidden = true; act(); },
    }, text);
    const others = state.panels.filter((panel, i) => i !== this.index && isMap(panel.key) && !panel.minus);
    const map = isMap(this.panel.key);
    const own = ["norm", "gain", "opacity", "palette"].some((name) => name in this.panel);
    this.popup.replaceChildren(
      item("Move left", () => this.panels.move(this.index, this.index - 1), this.index === 0),
      item("Move right", () => this.panels.move(this.index, this.index + 1), this.index === state.panels.length - 1),
      item(this.panel.wide ? "Make small" : "Enlarge", () => state.setPanel(this.index, { wide: !this.panel.wide })),
      item("Copy beside it", () => {
        const panels = [...state.panels];
        panels.splice(this.index + 1, 0, { ...this.panel });
        state.set({ panels, selected: this.index + 1 });
      }),
      map && item(own ? "Use the common look" : "Give it a look of its own", () => state.setPanel(this.index, own
        ? { norm: undefined, gain: undefined, opacity: undefined, palette: undefined }
        : { norm: state.norm, gain: state.gain, opacity: state.opacity, palette: state.palette })),
      map && this.panel.minus && item("Stop subtracting", () => state.setPanel(this.index, { minus: undefined })),
      ...(map ? others.filter((o) => o.key !== this.panel.key).slice(0, 8).map((other) =>
        item(`Subtract ${names.title(other.key)} (${names.detail(other.key)})`, () => state.setPanel(this.index, { minus: other.key }))) : []),
      item("Remove", () => this.panels.remove(this.index)));
    this.popup.hidden = false;
    this.popup.querySelector("button:not([disabled])").focus();
    const close = (event) => {
      if (event.type === "keydown" ? event.key === "Escape" : !event.composedPath().includes(this.root)) {
        this.popup.hidden = true;
        removeEventListener("pointerdown", close, true);
        removeEventListener("keydown", close, true);
        if (event.type === "keydown") this.more.focus();
      }
    };
    addEventListener("pointerdown", close, true);
    addEventListener("keydown", close, true);
  }
}

// What a panel's rows are called where they are kept.
export function kindOf(key) {
  return isMap(key) ? `maps/${key}` : key.startsWith("input") ? "inputs" : "screens";
}
