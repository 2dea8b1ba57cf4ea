// Tables and figures that other commands left in the run: a list beside the panels, and a reader as large as the window.
import { el, number } from "./numbers.js";

export class Results {
  // What there is: tables in the order in which they were written, and figures that no finding shows already.
  constructor(manifest, elsewhere) {
    this.entries = [
      ...manifest.tables.map((table) => ({ title: table.title, note: table.note, make: () => tableOf(table) })),
      ...manifest.figures.filter(({ title }) => !elsewhere.has(title)).map(({ title, png }) => ({ title, make: () => imageOf(title, png), png })),
    ];
    this.body = el("div", { class: "body" });
    this.links = this.entries.map(({ title }, place) => el("button", { onclick: () => this.turn(place) }, title));
    this.reader = el("dialog", { class: "reader", "aria-label": "tables and figures" },
      el("nav", {}, ...this.links, el("button", { class: "primary", onclick: () => this.reader.close() }, "Close")), this.body);
    this.reader.addEventListener("keydown", (event) => this.key(event));
  }

  get list() {
    const entry = ({ title, png }, place) => el("li", {}, el("button", { onclick: () => this.show(place) }, png ? imageOf("", png) : null, title));
    return el("ul", { class: "results" }, ...this.entries.map(entry));
  }

  show(place) {
    this.turn(place);
    this.reader.showModal();
  }

  turn(place) {
    this.place = place;
    const { title, note, make } = this.entries[place];
    this.body.replaceChildren(el("h2", {}, title), make(), ...(note ? [el("p", { class: "hint" }, note)] : []));
    this.body.scrollTop = 0;
    this.links.forEach((link, i) => link.setAttribute("aria-current", i === place));
    this.links[place].scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    this.turn((this.place + by + this.entries.length) % this.entries.length);
  }
}

function imageOf(title, png) {
  return el("img", { alt: title, src: `data:image/png;base64,${png}` });
}

// A mean stands above its interval: "1.5 [1, 2] *" is 1.5 * over [1, 2].
function wordsOf(text) {
  const found = text.match(/^(\S+) (\[[^\]]*\])(.*)$/);
  return found ? [found[1], found[3], el("small", {}, found[2])] : [text];
}

function tableOf({ columns, rows }) {
  const cell = (value) => el("td", {}, ...(value === null ? ["–"] : typeof value === "number" ? [number(value)] : wordsOf(String(value))));
  return el("div", { class: "wide" }, el("table", {},
    el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", {}, name)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell))))));
}
