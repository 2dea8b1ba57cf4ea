// A game that is being played while one looks: frames as they come, and hands on the agent.
import { decode } from "./store.js";
import { readSeries, unbundle } from "./bytes.js";
import { el } from "./numbers.js";

const PATIENCE = 1000;
const MOST_BEHIND = 24;

export class Live {
  constructor(view, root) {
    this.view = view;
    this.status = { version: 0, steps: view.manifest.steps, playing: false, human: false, fps: 0, track: 0, tracks: [] };
    this.version = -1;
    this.held = new Set();
    this.follow = true;
    this.track = 0;
    const button = (text, title, act) => el("button", { title, onclick: act }, text);
    this.run = button("❚❚ pause the game", "Pause or go on with the game (space)", () => this.command(this.status.playing ? { do: "pause" } : { do: "play" }));
    this.once = button("one step", "Play one step (→ at the end)", () => this.command({ do: "step" }));
    this.hand = button("take over", "Play with the keys: arrows, and space for fire (g)", () => this.command({ do: this.status.human ? "give" : "take" }));
    this.now = button("to the newest", "Show the newest step again", () => { this.follow = true; view.redraw(); });
    this.other = el("select", { "aria-label": "another action" }, ...(view.manifest.actions ?? []).map((name, i) => el("option", { value: i }, name)));
    this.branch = button("branch here", "Play on from the step that is shown, with another action", () =>
      this.command({ do: "branch", step: view.state.step, action: Number(this.other.value) }));
    this.tracks = el("select", { "aria-label": "which course of the game", onchange: () => this.command({ do: "track", track: Number(this.tracks.value) }) });
    this.compare = el("select", { "aria-label": "compare with", onchange: () => this.chooseOther() });
    this.told = el("span", { class: "told", "aria-live": "polite" });
    root.hidden = false;
    root.append(el("b", { class: "live" }, "live"), this.run, this.once, this.hand, this.now,
      el("span", { class: "group" }, this.other, this.branch), this.tracks, this.compare, this.told);
    root.ownerDocument.addEventListener("keyup", (event) => this.release(event));
    view.state.on((changed) => { if (changed.has("panels")) this.sendPanels(); });
    this.sendPanels();
    this.poll();
  }

  async command(body) {
    try {
      await this.view.source.post("/live", body);
      if (body.do === "branch") this.follow = true;
      this.told.textContent = "";
    } catch (error) {
      this.told.textContent = error.message;
    }
  }

  sendPanels() {
    const keys = [...new Set(this.view.panels.kinds().filter((kind) => kind.startsWith("maps/")).map((kind) => kind.slice(5)))];
    if (keys.join() === this.sent) return;
    this.sent = keys.join();
    this.command({ do: "panels", panels: keys });
  }

  async poll() {
    for (;;) {
      try {
        const found = await this.view.source.status(this.version);
        await this.take(found);
      } catch (error) {
        this.told.textContent = error.message;
        await new Promise((resume) => setTimeout(resume, PATIENCE));
      }
    }
  }

  async take(status) {
    const { view } = this;
    if (status.track !== this.track) {
      this.track = status.track;
      view.track = view.source.track = status.track;
      view.store.forget();
      this.fetched = 0;
      view.manifest.steps = 0;
      this.series = null;
    }
    if (this.status.playing && !status.playing) this.takeMoments();
    this.status = status;
    this.version = status.version;
    if (status.steps < view.manifest.steps) { view.store.forget(); this.series = null; this.fetched = 0; }
    if ((this.fetched ?? 0) < status.steps) await this.fetchRows(status);
    this.show();
  }

  // The newest rows, and the numbers of all those before that are not known yet.
  async fetchRows(status) {
    const { view } = this;
    const known = this.series?.length ? this.series[0].values.length : 0;
    const from = this.series ? known : 0;
    const buffer = await view.source.frames(from, this.track);
    const { header, parts } = unbundle(buffer);
    let place = 0;
    for (const item of header.items) {
      const count = item.parts;
      const bundle = { header: item, parts: parts.slice(place, place + count) };
      place += count;
      if (item.key === "series") this.grow(await readSeries(bundle), item.first);
      else view.store.put(item.key, await decode(item.key, bundle));
    }
    this.fetched = header.first + header.count;
    view.manifest.steps = this.fetched;
    view.takeSeries(this.series ?? []);
    view.redraw();
  }

  // Rows come several at a time; they are shown one by one, at the pace of the game.
  advance(now) {
    const { view } = this;
    const newest = view.manifest.steps - 1;
    const behind = newest - view.state.step;
    const passed = Math.min((now - (this.clock ?? now)) / 1000, 0.5);
    this.clock = now;
    if (!this.follow || behind <= 0) { this.due = 0; return; }
    if (!this.status.playing || behind > MOST_BEHIND) {
      view.state.set({ step: this.status.playing ? newest - 2 : newest });
      return;
    }
    this.due = (this.due ?? 0) + passed * Math.max(this.status.fps, 5) * (behind > 4 ? 1.3 : 1);
    const by = Math.min(Math.floor(this.due), behind);
    this.due -= by;
    if (by) view.state.set({ step: view.state.step + by });
  }

  get moving() {
    return this.follow && (this.status.playing || this.view.state.step < this.view.manifest.steps - 1);
  }

  grow(columns, first) {
    if (!this.series || first === 0) { this.series = columns; return; }
    this.series = columns.map((column, i) => {
      const values = new Float32Array(first + column.values.length);
      values.set(this.series[i]?.values.subarray(0, first) ?? []);
      values.set(column.values, first);
      return { ...column, values };
    });
  }

  // What stands out so far, looked for whenever the game pauses.
  async takeMoments() {
    const { view } = this;
    view.manifest.markers = (await view.source.manifest()).markers;
    view.inspector.buildMoments();
    view.timeline.stale = true;
    view.redraw();
  }

  // -- two courses side by side --------------------------------------------------------------------------------

  called(track) {
    const found = this.status.tracks.find(({ id }) => id === track);
    return !found || found.parent === null ? "the game" : `branch ${track}`;
  }

  // Where a course's first row lies, counted from the beginning of the game that it left.
  begin(track) {
    const found = this.status.tracks.find(({ id }) => id === track);
    return !found || found.parent === null ? 0 : this.begin(found.parent) + found.from;
  }

  // The row of another course at the moment that is shown; null where it has none.
  rowIn(track) {
    const row = this.view.state.step + this.begin(this.track) - this.begin(track);
    const steps = this.status.tracks.find(({ id }) => id === track)?.steps ?? 0;
    return row >= 0 && row < steps ? row : null;
  }

  async chooseOther() {
    const { view } = this;
    const track = Number(this.compare.value);
    const own = view.state.panels.filter((panel) => panel.track === undefined);
    view.timeline.other = null;
    if (track < 0) return view.state.set({ panels: own });
    view.state.set({ panels: [...own, ...own.map((panel) => ({ ...panel, track }))] });
    const series = await readSeries(unbundle(await view.source.get("series", track)));
    view.timeline.other = { series, shift: this.begin(track) - this.begin(this.track) };
    view.timeline.stale = true;
    view.redraw();
  }

  show() {
    const { status, view } = this;
    this.run.textContent = status.playing ? "❚❚ pause the game" : "▶ go on playing";
    this.hand.textContent = status.human ? "give it back" : "take over";
    this.hand.classList.toggle("on", status.human);
    this.told.textContent = status.message ?? (status.playing ? `${status.fps.toFixed(0)} steps/s` : "paused");
    const names = status.tracks.map(({ id, parent, from }) => [id, parent === null ? "the game" : `branch ${id}, from step ${from}`]);
    const list = JSON.stringify(names);
    if (this.list !== list) {
      this.list = list;
      this.tracks.replaceChildren(...names.map(([id, text]) => el("option", { value: id }, text)));
      this.compare.replaceChildren(el("option", { value: -1 }, "compare with …"), ...names.map(([id, text]) => el("option", { value: id }, text)));
    }
    this.tracks.value = String(status.track);
    this.tracks.hidden = this.compare.hidden = names.length < 2;
    view.redraw();
  }

  // Keys while a human plays: all arrows that are down, and space, make the action.
  key(event) {
    if (event.key === "g") { this.command({ do: this.status.human ? "give" : "take" }); return true; }
    if (event.key === " " && !this.status.human) {
      this.command(this.status.playing ? { do: "pause" } : { do: "play" });
      return true;
    }
    if (event.key === "ArrowRight" && !this.status.human && this.view.state.step >= this.view.manifest.steps - 1) {
      this.command({ do: "step" });
      return true;
    }
    if (!this.status.human || !(event.key in PARTS)) return false;
    if (!this.held.has(event.key)) {
      this.held.add(event.key);
      this.sendAction();
    }
    return true;
  }

  release(event) {
    if (this.held.delete(event.key) && this.status.human) this.sendAction();
  }

  sendAction() {
    const names = this.view.manifest.actions ?? [];
    const parts = ["ArrowUp", "ArrowRight", "ArrowLeft", "ArrowDown"].filter((key) => this.held.has(key)).map((key) => PARTS[key]);
    const fire = this.held.has(" ");
    const wanted = [parts.join("") + (fire ? "FIRE" : ""), parts.join(""), parts[0], fire ? "FIRE" : "", "NOOP"];
    const name = wanted.find((text) => text && names.includes(text));
    this.command({ do: "action", action: Math.max(names.indexOf(name ?? "NOOP"), 0) });
  }
}

const PARTS = { ArrowUp: "UP", ArrowRight: "RIGHT", ArrowLeft: "LEFT", ArrowDown: "DOWN", " ": "FIRE" };
