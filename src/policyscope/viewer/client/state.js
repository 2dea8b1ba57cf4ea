// What is shown, in the page's address: a link opens the same view.
import { clamp } from "./numbers.js";

export const DEFAULTS = {
  step: 0, panels: [], selected: 0, norm: "frame", gain: 1, opacity: 0.92, ground: "dimmed", palette: "safe",
  smooth: true, rate: 15, loop: null, zoom: null, theme: "auto", tab: "step", box: null, width: 0, hidden: [],
};

const NUMBERS = new Set(["step", "selected", "gain", "opacity", "rate", "width", "track"]);
const RANGES = new Set(["loop", "zoom", "box"]);
const OWN = { n: "norm", g: "gain", o: "opacity", c: "palette", t: "track" };

export class State {
  constructor(manifest, hash = "") {
    Object.assign(this, structuredClone(DEFAULTS));
    this.listeners = [];
    this.panels = manifest.first.map((key) => ({ key }));
    this.read(hash);
    this.step = clamp(this.step, 0, Math.max(manifest.steps - 1, 0));
  }

  on(listener) {
    this.listeners.push(listener);
  }

  // Changes some values, and tells which.
  set(values) {
    const changed = Object.keys(values).filter((name) => this[name] !== values[name]);
    if (!changed.length) return;
    Object.assign(this, values);
    for (const listener of this.listeners) listener(new Set(changed));
  }

  setPanel(index, values) {
    this.set({ panels: this.panels.map((panel, i) => (i === index ? tidy({ ...panel, ...values }) : panel)) });
  }

  // A panel's own value of a setting, or that of all.
  of(panel, name) {
    return panel[name] ?? this[name];
  }

  read(hash) {
    const found = new URLSearchParams(hash.replace(/^#/, ""));
    for (const [name, text] of found) {
      if (name === "panels") this.panels = text ? text.split(",").map(readPanel) : [];
      else if (name === "hidden") this.hidden = text ? text.split(",") : [];
      else if (!(name in DEFAULTS)) continue;
      else if (NUMBERS.has(name)) this[name] = Number.isFinite(Number(text)) ? Number(text) : DEFAULTS[name];
      else if (RANGES.has(name)) {
        const numbers = text.split("_").map(Number);
        this[name] = numbers.every(Number.isFinite) && numbers.length > 1 ? numbers : null;
      } else if (name === "smooth") this.smooth = text !== "0";
      else this[name] = text;
    }
    this.step = Math.round(this.step);
  }

  write() {
    const parts = [];
    for (const [name, usual] of Object.entries(DEFAULTS)) {
      const value = this[name];
      if (name === "panels") parts.push(`panels=${value.map(writePanel).map(encodeURIComponent).join(",")}`);
      else if (name === "hidden") { if (value.length) parts.push(`hidden=${value.map(encodeURIComponent).join(",")}`); }
      else if (name === "step") parts.push(`step=${value}`);
      else if (value === usual || value === null) continue;
      else if (RANGES.has(name)) parts.push(`${name}=${value.map((v) => Math.round(v)).join("_")}`);
      else parts.push(`${name}=${name === "smooth" ? Number(value) : encodeURIComponent(value)}`);
    }
    return "#" + parts.join("&");
  }
}

function readPanel(text) {
  const [names, ...own] = text.split("!");
  const [key, minus] = names.split("^");
  const panel = minus ? { key, minus } : { key };
  for (const entry of own) {
    if (entry === "w") panel.wide = true;
    const name = OWN[entry[0]];
    if (name && entry[1] === "=") panel[name] = NUMBERS.has(name) ? Number(entry.slice(2)) : entry.slice(2);
  }
  return panel;
}

function writePanel(panel) {
  const own = Object.entries(OWN).filter(([, name]) => name in panel).map(([letter, name]) => `!${letter}=${panel[name]}`);
  return panel.key + (panel.minus ? `^${panel.minus}` : "") + (panel.wide ? "!w" : "") + own.join("");
}

function tidy(panel) {
  return Object.fromEntries(Object.entries(panel).filter(([, value]) => value !== undefined && value !== false));
}
