// Where a page takes its data from: blocks in its own file, a server on this machine, or a notebook's kernel.
// Each has manifest(), get(key) -> Promise<ArrayBuffer>, json(key), and ask(question) where questions can be asked.
import { fromBase64 } from "./bytes.js";

export class FileSource {
  constructor(root = document) {
    this.root = root;
  }

  block(key) {
    return this.root.querySelector(`script[data-key="${CSS.escape(key)}"]`);
  }

  async manifest() {
    return JSON.parse(this.block("manifest").textContent);
  }

  async get(key) {
    const block = this.block(key);
    if (!block) throw new Error("left out of this file");
    return fromBase64(block.textContent.trim()).buffer;
  }

  async json(key) {
    const block = this.block(key);
    if (!block) throw new Error("left out of this file");
    return JSON.parse(block.textContent);
  }
}

export class HttpSource {
  async request(path, options) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      throw new Error("the viewer's process does not answer: was it stopped?");
    }
    if (!answer.ok) {
      const text = await answer.text();
      let told = text;
      try { told = JSON.parse(text).error ?? text; } catch { /* plain text */ }
      throw new Error(told || `${answer.status} ${answer.statusText}`);
    }
    return answer;
  }

  // Rows of a finished run never change under its tag; those of a game that is played belong to one of its courses.
  path(key, track = this.track) {
    const query = this.tag ? `?v=${encodeURIComponent(this.tag)}` : track === undefined ? "" : `?track=${track}`;
    return "/data/" + key.split("/").map(encodeURIComponent).join("/") + query;
  }

  async manifest() {
    const manifest = await this.json("manifest");
    this.tag = manifest.tag;
    return manifest;
  }

  async get(key, track) {
    return (await this.request(this.path(key, track))).arrayBuffer();
  }

  async json(key) {
    return (await this.request(this.path(key))).json();
  }

  async post(path, body) {
    const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    return (await this.request(path, options)).json();
  }

  ask(question) {
    return this.post("/ask", question);
  }

  // What a game that is being played has come to, as soon as it differs from what was seen.
  async status(seen) {
    return (await this.request(`/live?seen=${seen}`)).json();
  }

  async frames(from, track) {
    return (await this.request(`/live/frames?from=${from}&track=${track}`)).arrayBuffer();
  }
}

export class NotebookSource {
  constructor(model) {
    this.model = model;
    this.waiting = new Map();
    this.count = 0;
    model.on("msg:custom", (message, buffers) => {
      const waiting = this.waiting.get(message.id);
      if (!waiting) return;
      this.waiting.delete(message.id);
      if (message.error) waiting.reject(new Error(message.error));
      else waiting.resolve(buffers?.length ? exact(buffers[0]) : message.answer);
    });
  }

  send(body) {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.model.send({ id, ...body });
    });
  }

  async manifest() {
    return this.send({ key: "manifest" });
  }

  get(key) {
    return this.send({ key });
  }

  json(key) {
    return this.send({ key });
  }

  ask(question) {
    return this.send({ question });
  }
}

function exact(view) {
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
}
