// The panels side by side: one moment, seen by several methods.
import { Card, kindOf } from "./card.js";
import { colourTable } from "./colours.js";

// Pixels: between panels, of one whose size was not chosen, of the smallest, of what stands around a picture, of the words
// whether it is to be trusted, and below the lanes.
const [GAP, USUAL, LEAST, CHROME, CHIPS, BELOW] = [10, 220, 170, 82, 20, 48];

export class Panels {
  constructor(view, root) {
    this.view = view;
    this.root = root;
    this.cards = [];
    this.tables = new Map();
    this.values = new Float32Array(view.manifest.input.height * view.manifest.input.width);
    this.build();
    view.state.on((changed) => {
      if (changed.has("panels")) this.build();
      if (changed.has("selected")) this.mark();
    });
  }

  build() {
    const { state } = this.view;
    while (this.cards.length > state.panels.length) this.cards.pop().root.remove();
    state.panels.forEach((panel, index) => {
      if (!this.cards[index]) {
        this.cards.push(new Card(this, index));
        this.root.append(this.cards[index].root);
      }
      this.cards[index].update(panel);
    });
    this.mark();
    this.view.settle?.();
  }

  mark() {
    this.cards.forEach((card, i) => card.root.classList.toggle("selected", i === this.view.state.selected));
  }

  // As many columns as make the panels largest while all of them are seen at once, unless a size was chosen.
  layout() {
    const { state, manifest, app, timeline } = this.view;
    const across = this.root.clientWidth;
    const places = state.panels.reduce((sum, panel) => sum + (panel.wide ? 4 : 1), 0) || 1;
    let columns = Math.max(Math.floor((across + GAP) / ((state.width || USUAL) + GAP)), 1);
    const height = this.view.address ? innerHeight : app.parentElement.clientHeight || innerHeight;
    const top = this.root.getBoundingClientRect().top - app.getBoundingClientRect().top;
    const ratio = manifest.screen.height / (manifest.screen.width * manifest.screen.pixel);
    const chrome = CHROME + (this.cards.some((card) => !card.trust.hidden) ? CHIPS : 0);
    const used = (count) => Math.ceil(places / count) * (((across - GAP * (count - 1)) / count - 18) * ratio + chrome + GAP);
    const lanes = Math.min(0.31 * height, timeline?.height ?? Infinity);
    let even = false;
    if (!state.width && across > 500) {
      const most = Math.max(columns, Math.floor(across / LEAST));
      const fitting = Array.from({ length: most }, (_, i) => i + 1).find((count) => used(count) <= height - top - lanes - BELOW);
      columns = fitting ?? columns;
      even = fitting !== undefined;
    }
    columns = Math.min(columns, Math.max(places, 2));
    // What the panels leave free is the timeline's.
    if (timeline) timeline.scroll.style.maxHeight = `${Math.max(lanes, height - top - used(columns) - BELOW)}px`;
    // Where all are seen, rows are filled evenly: three and three rather than five and one.
    const share = 100 / columns, gaps = (GAP * (columns - 1)) / columns;
    const count = even ? Math.ceil(places / Math.ceil(places / columns)) : columns;
    const width = count === columns ? "minmax(0, 1fr)" : `calc(${share}% - ${gaps}px)`;
    this.root.style.gridTemplateColumns = `repeat(${count}, ${width})`;
  }

  // The kinds of rows that the panels show.
  kinds() {
    const kinds = new Set(["screens"]);
    for (const { key, minus, track } of this.view.state.panels) {
      if (track === undefined) for (const name of [key, minus]) if (name) kinds.add(kindOf(name));
    }
    return [...kinds];
  }

  paletteOf(panel, signed) {
    const chosen = this.view.state.of(panel, "palette");
    return chosen === "safe" ? (signed ? "blue_orange" : "ember") : chosen;
  }

  coloursOf(panel, signed) {
    const name = this.paletteOf(panel, signed);
    const opacity = this.view.state.of(panel, "opacity");
    const key = `${name}/${opacity}`;
    if (!this.tables.has(key)) {
      if (this.tables.size > 64) this.tables.clear();
      this.tables.set(key, colourTable(this.view.manifest.palettes[name] ?? this.view.manifest.palettes.ember, name, opacity));
    }
    return this.tables.get(key);
  }

  draw() {
    const { state, store, painter } = this.view;
    painter.prepare(store.chunk("screens", state.step), state.step, state.ground);
    for (const card of this.cards) if (card.panel.track === undefined) card.draw();
    for (const card of this.cards) if (card.panel.track !== undefined) card.draw();
  }

  move(from, to) {
    const { state } = this.view;
    if (to < 0 || to >= state.panels.length || from === to) return;
    const panels = [...state.panels];
    panels.splice(to, 0, ...panels.splice(from, 1));
    state.set({ panels, selected: to });
  }

  remove(index) {
    const { state } = this.view;
    const panels = state.panels.filter((_, i) => i !== index);
    state.set({ panels, selected: Math.min(state.selected, Math.max(panels.length - 1, 0)) });
  }

  add(key) {
    const { state } = this.view;
    state.set({ panels: [...state.panels, { key }], selected: state.panels.length });
    this.cards.at(-1).root.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
}
