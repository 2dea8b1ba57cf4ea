// Where the page begins.
import { FileSource, HttpSource, NotebookSource } from "./sources.js";
import { el } from "./numbers.js";
import { View } from "./view.js";

export async function open(root, source, options) {
  root.replaceChildren(el("p", { class: "opening" }, "opening …"));
  try {
    return new View(root, source, await source.manifest(), options);
  } catch (error) {
    root.replaceChildren(el("p", { class: "opening error" }, `This run cannot be shown: ${error.message}`));
    throw error;
  }
}

const app = typeof document === "undefined" ? null : document.querySelector("#app[data-source]");
if (app) {
  const source = app.dataset.source === "file" ? new FileSource() : new HttpSource();
  open(app, source, { address: app.dataset.address !== "no" }).then((view) => { globalThis.policyscope = view; });
}

export default {
  render({ model, el: root }) {
    const shadow = root.attachShadow({ mode: "open" });
    const style = document.createElement("style");
    style.textContent = model.get("_style");
    const place = document.createElement("div");
    Object.assign(place.style, { height: `${model.get("_height")}px`, overflow: "auto", borderRadius: "8px" });
    shadow.append(style, place);
    open(place, new NotebookSource(model), { address: false });
  },
};
