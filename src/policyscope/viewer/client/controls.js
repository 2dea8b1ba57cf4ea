// The bar above: playing, and how all panels look. And the keys that do the same.
import { NORMS } from "./colours.js";
import { clamp, el } from "./numbers.js";

const KEYS = [
  ["space", "play or pause"], ["← →", "a step back or on (with shift: ten)"], ["home, end", "the first or the last step"],
  ["[ ]", "the moment before or after"], [", .", "slower or faster"], ["l", "loop between here and where you press it next; once more ends it"],
  ["1 … 9", "select a panel"], ["e", "enlarge the selected panel"], ["a", "add a panel"], ["delete", "remove the selected panel"],
  ["- +", "gain down or up"], ["n", "next normalisation"], ["b", "next background"], ["p", "next palette"], ["escape", "clear the box"],
  ["t", "dark or light"], ["s", "save a picture"], ["?", "this help"],
];

export class Controls {
  constructor(view, root) {
    this.view = view;
    const { state, manifest } = view;
    this.play = el("button", { class: "icon play", "aria-label": "play", title: "Play or pause (space)", onclick: () => view.toggle() }, "▶");
    const step = (by, text, label) => el("button", { class: "icon", "aria-label": label, title: label, onclick: () => view.jump(state.step + by) }, text);
    this.slider = el("input", { type: "range", class: "scrub", min: 0, max: Math.max(manifest.steps - 1, 0), "aria-label": "step", oninput: (e) => view.jump(Number(e.target.value)) });
    this.rate = this.select("rate", [1, 2, 4, 8, 15, 30, 60, 120].map((r) => [r, `${r} steps/s`]), Number);
    const look = el("div", { class: "look" },
      this.labelled("scale", this.select("norm", Object.entries(NORMS).map(([value, text]) => [value, SCALES[value], text]))),
      this.labelled("gain", this.range("gain", -2, 3, 0.05, (v) => 10 ** v, (v) => Math.log10(v), (v) => `×${Number(v.toPrecision(2))}`)),
      this.labelled("opacity", this.range("opacity", 0, 1, 0.02, Number, Number, (v) => `${Math.round(100 * v)} %`)),
      this.labelled("screen", this.select("ground", [["dimmed", "grey, dimmed"], ["grey", "grey"], ["colour", "colour"]])),
      this.labelled("colours", this.select("palette", [["safe", "safe for all eyes"], ["viridis", "viridis"], ["paper", "the paper's red/green"]])),
      this.labelled("size", this.range("width", 140, 640, 20, (v) => (v > 140 ? v : 0), (v) => v || 140, (v) => (v ? `${v}` : "fit"))));
    look.hidden = innerWidth < 900 || !view.address;
    this.look = look;
    this.when = el("span", { class: "when" });
    this.help = this.buildHelp();
    root.append(
      el("div", { class: "title" }, el("h1", {}, manifest.title), el("span", { class: "when" }, this.when)),
      el("div", { class: "transport" }, step(-1, "‹", "a step back (←)"), this.play, step(1, "›", "a step on (→)"), this.slider, this.rate),
      el("div", { class: "actions" },
        el("button", { onclick: () => { look.hidden = !look.hidden; }, title: "How all panels look" }, "Look"),
        el("button", { onclick: () => view.addPanel(), title: "Add a panel (a)" }, "+ panel"),
        el("button", { onclick: () => view.savePicture(), title: "Save what you see as a PNG (s)" }, "PNG"),
        el("button", { onclick: () => view.saveFilm(), title: "Save the loop, or the next two seconds, as a GIF" }, "GIF"),
        el("button", { class: "icon", "aria-label": "dark or light", title: "Dark or light (t)", onclick: () => this.theme() }, "◐"),
        el("button", { class: "icon", "aria-label": "help", title: "Help and keys (?)", onclick: () => this.help.showModal() }, "?")));
    root.getRootNode().addEventListener?.("keydown", (event) => this.key(event));
    state.on(() => this.sync());
    this.root = root;
    root.append(look, this.help);
    this.inputs = this.inputs ?? [];
    this.sync();
  }

  labelled(text, node) {
    return el("label", {}, el("span", {}, text), node);
  }

  remember(sync) {
    (this.inputs ??= []).push(sync);
  }

  // The value that a control shows: the selected panel's own, where it has one.
  current(name) {
    const { state } = this.view;
    return state.of(state.panels[state.selected] ?? {}, name);
  }

  change(name, value) {
    const { state } = this.view;
    if (name in (state.panels[state.selected] ?? {})) state.setPanel(state.selected, { [name]: value });
    else state.set({ [name]: value });
  }

  select(name, entries, read = String) {
    const node = el("select", { "aria-label": name, onchange: () => this.change(name, read(node.value)) },
      ...entries.map(([value, text, title]) => el("option", { value, title }, text)));
    this.remember(() => { node.value = String(this.current(name)); });
    return node;
  }

  range(name, min, max, step, read, write, text) {
    const shown = el("output");
    const node = el("input", { type: "range", min, max, step, "aria-label": name, oninput: () => this.change(name, read(Number(node.value))), ondblclick: () => this.change(name, { gain: 1, opacity: 0.92, width: 0 }[name]) });
    this.remember(() => { node.value = write(this.current(name)); shown.textContent = text(this.current(name)); });
    return el("span", { class: "range" }, node, shown);
  }

  sync() {
    for (const sync of this.inputs ?? []) sync();
  }

  draw() {
    const { view } = this;
    const last = Math.max(view.manifest.steps - 1, 0);
    if (Number(this.slider.max) !== last) this.slider.max = last;
    if (Number(this.slider.value) !== view.state.step) this.slider.value = view.state.step;
    this.when.textContent = view.now();
    const text = view.playing ? "❚❚" : "▶";
    if (this.play.textContent !== text) {
      this.play.textContent = text;
      this.play.setAttribute("aria-label", view.playing ? "pause" : "play");
    }
  }

  theme() {
    const { state } = this.view;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = state.theme === "auto" ? (dark ? "dark" : "light") : state.theme;
    state.set({ theme: now === "dark" ? "light" : "dark" });
  }

  next(name, values) {
    this.change(name, values[(values.indexOf(this.current(name)) + 1) % values.length]);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.composedPath()[0];
    if (target.matches?.("textarea, input[type=text], input[type=number]")) return;
    if (this.view.app.querySelector("dialog[open]")) return;
    const { view } = this;
    const { state } = view;
    if (view.live?.key(event)) { event.preventDefault(); return; }
    const on = target.matches?.("input[type=range], select");
    const act = {
      " ": () => view.toggle(), Home: () => view.jump(0), End: () => view.jump(view.manifest.steps - 1),
      "[": () => view.moment(-1), "]": () => view.moment(1), ",": () => this.faster(-1), ".": () => this.faster(1),
      l: () => view.loop(), e: () => state.setPanel(state.selected, { wide: !state.panels[state.selected]?.wide }),
      a: () => view.addPanel(), Delete: () => view.panels.remove(state.selected), "-": () => this.change("gain", this.current("gain") / 1.25),
      "+": () => this.change("gain", this.current("gain") * 1.25), "=": () => this.change("gain", this.current("gain") * 1.25),
      n: () => this.next("norm", Object.keys(NORMS)), b: () => this.next("ground", ["dimmed", "grey", "colour"]),
      p: () => this.next("palette", ["safe", "viridis", "paper"]), t: () => this.theme(), s: () => view.savePicture(),
      Escape: () => state.set({ box: null, loop: null }), "?": () => this.help.showModal(),
    };
    const arrow = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (arrow && !on) view.jump(state.step + arrow * (event.shiftKey ? 10 : 1));
    else if (/^[1-9]$/.test(event.key) && Number(event.key) <= state.panels.length) state.set({ selected: Number(event.key) - 1 });
    else if (act[event.key] && !(on && [" ", "Home", "End"].includes(event.key)) && !(target.matches?.("button, summary") && event.key === " ")) act[event.key]();
    else return;
    event.preventDefault();
  }

  faster(by) {
    const rates = [1, 2, 4, 8, 15, 30, 60, 120];
    const at = rates.findIndex((rate) => rate >= this.view.state.rate);
    this.view.state.set({ rate: rates[clamp(at + by, 0, rates.length - 1)] });
  }

  buildHelp() {
    const close = el("button", { class: "primary", onclick: () => this.help.close() }, "Close");
    return el("dialog", { class: "help", "aria-label": "help" },
      el("h2", { tabindex: "-1", autofocus: true }, "How to read this"),
      ...INTRODUCTION.map((text) => el("p", {}, text)),
      el("h2", {}, "Keys"),
      el("dl", { class: "keys" }, ...KEYS.flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
      el("p", { class: "hint" }, "On the timeline: drag to move, shift-drag to loop, ctrl-wheel to zoom, alt-drag to pan, double click for all of it. On a panel: drag to draw a box, double click to enlarge. On a slider: double click resets it."),
      close);
  }
}

const SCALES = { frame: "each frame", episode: "whole episode", max: "largest value", paper: "the paper's", paper_episode: "the paper's, episode" };

export const INTRODUCTION = [
  "Every panel shows the same moment of the game. On it lies a saliency map: the stronger the colour, the more that place mattered to the output named under the panel's title.",
  "In maps with two colours, orange places raise the output when they get brighter and blue ones lower it. In maps with one colour only support is shown.",
  "Colours are scaled to the numbers at the bar below each panel. A faint map with a tiny number can look as strong as a large one, so look at the numbers too. What is hatched lies outside what the network sees.",
];
