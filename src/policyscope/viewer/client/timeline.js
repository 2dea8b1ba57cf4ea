// The episode at a glance: rewards, actions, every output, and what the gradients did; the place where one scrubs.
import { drawActions, drawEnds, drawLines, drawRewards, drawShares } from "./lanes.js";
import { clamp, el, number } from "./numbers.js";
import { canvas } from "./painter.js";

const GUTTER = 118;
const RIGHT = 10;
const AXIS = 18;
const MARK = {
  reward: "#e69f00", loss: "#e5534b", advantage: "#2b93f0", surprise: "#cc79a7", value: "#009e73", tie: "#9a86e8",
  disagreement: "#d55e00", found: "#f0e442",
};

export class Timeline {
  constructor(view, root) {
    this.view = view;
    this.canvas = el("canvas", { class: "lanes", tabindex: "0", role: "slider", "aria-label": "timeline: the step that is shown" });
    this.context = this.canvas.getContext("2d");
    this.still = canvas(1, 1);
    this.tip = el("div", { class: "tip", hidden: true });
    this.root = root;
    this.axis = el("canvas", { class: "axis", "aria-hidden": "true" });
    this.scroll = el("div", { class: "lanes-scroll" }, this.canvas);
    root.append(this.scroll, this.axis, this.tip);
    this.stale = true;
    this.marks = [];
    this.found = new Set();
    new ResizeObserver(() => { this.stale = true; view.redraw(); }).observe(root);
    view.state.on((changed) => {
      if (["zoom", "loop", "hidden", "theme", "selected", "panels"].some((name) => changed.has(name))) this.stale = true;
    });
    this.listen();
  }

  // -- what there is --------------------------------------------------------------------------------------------

  take(series) {
    this.series = series;
    this.groups = new Map();
    for (const column of series) {
      if (!this.groups.has(column.group)) this.groups.set(column.group, []);
      this.groups.get(column.group).push(column);
    }
    const rows = (name) => {
      const found = [];
      this.column(name)?.values.forEach((value, row) => { if (value > 0 && row > 0) found.push(row); });
      return found;
    };
    this.starts = rows("start");
    this.losses = rows("lost");
    this.stale = true;
  }

  column(group, name) {
    return this.groups?.get(group)?.find((column) => column.name === (name ?? group));
  }

  get steps() {
    return this.view.manifest.steps;
  }

  get lanes() {
    const lanes = [];
    const add = (id, title, height, draw, now) => { if (!this.view.state.hidden.includes(id)) lanes.push({ id, title, height, draw, now }); };
    const { groups } = this;
    if (!groups) return lanes;
    add("marks", "moments", 20, (lane, box) => this.drawMarks(box), () => "");
    add("reward", "reward", 34, (lane, box) => drawRewards(this, box), (row) => signed(this.column("reward")?.values[row]));
    const lives = this.column("lives");
    if (lives && lives.values.some((v) => v > 0)) add("lives", "lives", 18, (lane, box) => drawLines(this, box, [lives], { colours: ["#e5534b"], steps: true }), (row) => number(lives.values[row]));
    if (this.column("action")) add("action", "action", 24, (lane, box) => drawActions(this, box), (row) => this.view.actionName(row));
    const shown = [...groups.keys()].filter((g) => g.startsWith("stream:"));
    const skip = groups.has("stream:probability") ? "stream:policy" : "";
    for (const group of shown) {
      if (group === skip || group === "stream:log_std") continue;
      const columns = groups.get(group);
      add(group, group.slice(7), columns.length > 1 ? 58 : 44, (lane, box) => drawLines(this, box, columns), (row) => this.streamNow(group, columns, row));
    }
    if (groups.has("lags") && groups.get("lags").length > 1) add("lags", "gradient on each frame", 44, (lane, box) => drawShares(this, box, groups.get("lags")), (row) => `newest ${Math.round(100 * groups.get("lags")[0].values[row])} %`);
    if (groups.has("alive")) add("alive", "active channels", 36, (lane, box) => drawLines(this, box, groups.get("alive"), { low: 0, high: 1 }), (row) => groups.get("alive").map((c) => `${Math.round(100 * c.values[row])}`).join(" ") + " %");
    if (groups.has("flow")) add("flow", "gradient size (log)", 44, (lane, box) => drawLines(this, box, groups.get("flow"), { log: true }), (row) => number(groups.get("flow").at(-1).values[row]));
    if (groups.has("disagreement")) add("disagreement", "methods disagree", 36, (lane, box) => drawLines(this, box, groups.get("disagreement"), { colours: ["#d55e00"] }), (row) => number(groups.get("disagreement")[0].values[row]));
    for (const [group, columns] of groups) {
      if (!group.startsWith("score:")) continue;
      const log = group.endsWith("(log)");
      const front = this.looked(columns);
      add(group, group.slice(6).replace(" (log)", ""), 44, (lane, box) => drawLines(this, box, columns, { log, front }), (row) => this.strongest(front ? [front] : columns, row));
    }
    return lanes;
  }

  // The selected panel's method among scores; undefined where it has none.
  looked(columns) {
    const { state, names } = this.view;
    const key = state.panels[state.selected]?.key;
    return key && columns.find(({ name }) => names.scored(key).includes(name));
  }

  // The method that scores highest in a step, and how high.
  strongest(columns, row) {
    const known = columns.filter(({ values }) => values[row] === values[row]);
    if (!known.length) return "";
    const { name, values } = known.reduce((a, b) => (b.values[row] > a.values[row] ? b : a));
    return `${name.replaceAll("_", " ")} ${number(values[row])}`;
  }

  streamNow(group, columns, row) {
    if (columns.length === 1) return number(columns[0].values[row]);
    const taken = this.column("action")?.values[row];
    const chosen = columns[taken];
    if (!chosen || this.view.manifest.actions?.[taken] !== chosen.name) return `${columns.length} values`;
    return `${chosen.name} ${number(chosen.values[row])}`;
  }

  // -- places ---------------------------------------------------------------------------------------------------

  get range() {
    const { zoom } = this.view.state;
    const last = Math.max(this.steps, 2);
    return zoom ? [clamp(zoom[0], 0, last - 2), clamp(zoom[1], 2, last)] : [0, last];
  }

  x(row) {
    const [from, to] = this.range;
    return GUTTER + ((row + 0.5 - from) / (to - from)) * this.inner;
  }

  // The same for many rows: x = first + row * each.
  get places() {
    const [from, to] = this.range;
    const each = this.inner / (to - from);
    return { first: GUTTER + (0.5 - from) * each, each };
  }

  row(x) {
    const [from, to] = this.range;
    return clamp(Math.floor(from + ((x - GUTTER) / this.inner) * (to - from)), 0, this.steps - 1);
  }

  // -- drawing --------------------------------------------------------------------------------------------------

  draw() {
    if (!this.groups) return;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    if (this.stale) {
      this.list = this.lanes;
      this.width = Math.max(this.scroll.clientWidth, 280);
      this.inner = this.width - GUTTER - RIGHT;
      this.height = this.list.reduce((sum, lane) => sum + lane.height + 6, 4);
      for (const made of [this.canvas, this.still, this.axis]) {
        made.width = Math.round(this.width * ratio);
        made.height = Math.round((made === this.axis ? AXIS : this.height) * ratio);
      }
      this.canvas.style.height = `${this.height}px`;
      this.drawStill(ratio);
      this.stale = false;
    }
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.still, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawNow();
    this.drawAxis(ratio);
  }

  ink(name) {
    return getComputedStyle(this.root).getPropertyValue(`--${name}`).trim();
  }

  drawStill(ratio) {
    const context = this.still.getContext("2d");
    this.pen = context;
    this.inks = Object.fromEntries(["ink", "quiet", "line", "lane", "accent"].map((name) => [name, this.ink(name)]));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    let top = 4;
    for (const lane of this.list) {
      lane.top = top;
      const box = { left: GUTTER, top, width: this.inner, height: lane.height };
      context.fillStyle = this.inks.lane;
      context.fillRect(box.left, box.top, box.width, box.height);
      context.save();
      context.beginPath();
      context.rect(box.left, box.top, box.width, box.height);
      context.clip();
      drawEnds(this, box);
      lane.draw(lane, box);
      context.restore();
      context.fillStyle = this.inks.ink;
      context.font = "600 11.5px system-ui, sans-serif";
      context.textAlign = "left";
      context.textBaseline = "middle";
      context.fillText(lane.title.replaceAll("_", " "), 2, top + (lane.height >= 34 ? lane.height / 2 - 8 : lane.height / 2), GUTTER - 10);
      top += lane.height + 6;
    }
    this.drawLeftOut();
  }

  drawMarks(box) {
    const pen = this.pen;
    this.marks = [];
    const middle = box.top + box.height / 2;
    for (const row of this.found) {
      pen.fillStyle = MARK.found;
      pen.fillRect(this.x(row) - 1, box.top + box.height - 5, 2.5, 5);
    }
    for (const note of this.view.notes) this.mark(note.step, middle, "note", note.text, this.inks.ink);
    for (const { step, kind, text } of this.view.manifest.markers) this.mark(step, middle, kind, text, colourOf(kind));
  }

  mark(step, y, kind, text, colour) {
    const x = this.x(step);
    if (x < GUTTER - 4 || x > this.width) return;
    const pen = this.pen;
    pen.fillStyle = colour;
    pen.beginPath();
    if (kind === "note") pen.rect(x - 4, y - 4, 8, 8);
    else { pen.moveTo(x, y - 5.5); pen.lineTo(x + 5, y); pen.lineTo(x, y + 5.5); pen.lineTo(x - 5, y); }
    pen.fill();
    this.marks.push({ x, y, step, text: `${step}: ${text}` });
  }

  // Rows that a file does not hold.
  drawLeftOut() {
    const { store, manifest } = this.view;
    if (!store.held) return;
    const pen = this.pen;
    pen.fillStyle = this.ink("left-out");
    for (let w = 0; w * manifest.window < this.steps; w++) {
      if (store.held.has(w)) continue;
      const from = Math.max(this.x(w * manifest.window - 0.5), GUTTER), to = this.x(Math.min((w + 1) * manifest.window, this.steps) - 0.5);
      if (to > GUTTER) pen.fillRect(from, 4, Math.min(to, this.width - RIGHT) - from, this.height - 8);
    }
  }

  drawAxis(ratio) {
    const pen = this.axis.getContext("2d");
    const [from, to] = this.range;
    const { step } = this.view.state;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.width, AXIS);
    pen.fillStyle = this.inks.quiet;
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const every = niceStep((to - from) / Math.max(this.inner / 90, 1));
    for (let row = Math.ceil(from / every) * every; row < to; row += every) {
      pen.textAlign = row === 0 ? "left" : "center";
      pen.fillText(row === 0 ? "step 0" : String(row), row === 0 ? GUTTER : this.x(row), AXIS / 2);
    }
    const x = this.x(step);
    if (x < GUTTER - 1 || x > this.width - RIGHT + 1) return;
    pen.font = "600 11px system-ui, sans-serif";
    const width = pen.measureText(String(step)).width + 12;
    const left = clamp(x - width / 2, GUTTER, this.width - width);
    pen.fillStyle = this.inks.accent;
    pen.beginPath();
    pen.roundRect(left, 0, width, AXIS - 1, 4);
    pen.fill();
    pen.fillStyle = this.ink("on-accent");
    pen.textAlign = "left";
    pen.fillText(String(step), left + 6, AXIS / 2);
  }

  drawNow() {
    const { context } = this;
    const { state } = this.view;
    if (state.loop) {
      const [a, b] = state.loop.map((row) => this.x(row));
      context.fillStyle = this.ink("loop");
      context.fillRect(a, 0, b - a, this.height);
    }
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillStyle = this.inks.quiet;
    for (const lane of this.list) {
      const text = lane.now(state.step);
      if (text && lane.height >= 34) context.fillText(text, 2, lane.top + lane.height / 2 + 8, GUTTER - 8);
      else if (text) { context.textAlign = "right"; context.fillText(text, GUTTER - 6, lane.top + lane.height / 2, GUTTER - 50); context.textAlign = "left"; }
    }
    const x = this.x(state.step);
    if (x >= GUTTER - 1 && x <= this.width - RIGHT + 1) {
      context.fillStyle = this.inks.accent;
      context.fillRect(x - 1, 0, 2, this.height);
    }
    this.canvas.setAttribute("aria-valuenow", state.step);
    this.canvas.setAttribute("aria-valuemin", 0);
    this.canvas.setAttribute("aria-valuemax", this.steps - 1);
  }

  // -- hands ----------------------------------------------------------------------------------------------------

  listen() {
    const { view } = this;
    let drag = null;
    const at = (event) => {
      const bounds = this.canvas.getBoundingClientRect();
      return [event.clientX - bounds.left, event.clientY - bounds.top];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      const [x, y] = at(event);
      const mark = this.near(x, y);
      if (mark) return view.jump(mark.step);
      if (x < GUTTER) return;
      this.canvas.setPointerCapture(event.pointerId);
      drag = event.shiftKey ? "loop" : event.altKey || event.button === 1 ? "pan" : "scrub";
      this.from = this.row(x);
      this.held = [x, ...this.range];
      if (drag === "scrub") view.jump(this.from);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const [x, y] = at(event);
      if (drag === "scrub") view.jump(this.row(x));
      else if (drag === "loop") {
        const to = this.row(x);
        view.state.set({ loop: Math.abs(to - this.from) > 1 ? [Math.min(to, this.from), Math.max(to, this.from)] : null });
      } else if (drag === "pan") {
        const [x0, from, to] = this.held;
        const by = clamp(((x0 - x) / this.inner) * (to - from), -from, this.steps - to);
        view.state.set({ zoom: [from + by, to + by] });
      } else this.hover(x, y);
    });
    const end = () => { drag = null; };
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", end);
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("dblclick", () => view.state.set({ zoom: null }));
    this.canvas.addEventListener("wheel", (event) => {
      const [x] = at(event);
      if (!event.ctrlKey && !event.altKey && !event.metaKey) {
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
          event.preventDefault();
          view.jump(view.state.step + Math.sign(event.deltaX || event.deltaY));
        }
        return;
      }
      event.preventDefault();
      this.zoomAt(x, Math.exp(clamp(event.deltaY, -100, 100) / 250));
    }, { passive: false });
  }

  zoomAt(x, factor) {
    const [from, to] = this.range;
    const middle = from + clamp((x - GUTTER) / this.inner, 0, 1) * (to - from);
    const low = Math.max(middle - (middle - from) * factor, 0), high = Math.min(middle + (to - middle) * factor, this.steps);
    if (high - low < 8) return;
    this.view.state.set({ zoom: low <= 0 && high >= this.steps ? null : [low, high] });
  }

  near(x, y) {
    return this.marks.find((mark) => Math.hypot(mark.x - x, mark.y - y) < 8);
  }

  hover(x, y) {
    const mark = this.near(x, y);
    this.canvas.style.cursor = mark ? "pointer" : "";
    this.tip.hidden = !mark;
    if (!mark) return;
    this.tip.textContent = mark.text;
    this.tip.style.left = `${clamp(mark.x + 10, 0, this.width - 220)}px`;
    this.tip.style.top = `${mark.y + 12}px`;
  }
}

export function colourOf(kind) {
  return MARK[kind] ?? MARK.value;
}

function signed(value) {
  return value > 0 ? `+${number(value)}` : number(value ?? 0);
}

function niceStep(rough) {
  const base = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  return Math.max([1, 2, 5, 10].find((k) => k * base >= rough) * base, 1);
}
