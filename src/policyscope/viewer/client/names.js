// Panels by name: method~stream~action~layer~lag~agent; `screen` and `input` are pictures without a map.

export const FIELDS = ["method", "stream", "action", "layer", "lag", "agent"];

export function parts(key) {
  const values = key.split("~");
  return Object.fromEntries(FIELDS.map((name, i) => [name, values[i] ?? ""]));
}

export function join(fields) {
  return FIELDS.map((name) => fields[name] ?? "").join("~");
}

export function isMap(key) {
  return !key.startsWith("screen~") && !key.startsWith("input~");
}

const SELECTIONS = { taken: "action taken", greedy: "best action", sum: "sum of all", contrast: "taken against the rest", all: "all of it" };

const TRUST = {
  faithful: { yes: "✓ faithful", no: "✗ not faithful", open: "? faithful" },
  weights: { yes: "✓ from the weights", no: "✗ not from the weights", open: "? from the weights" },
};

export class Names {
  constructor(manifest) {
    this.manifest = manifest;
    this.methods = new Map(manifest.methods.map((method) => [method.name, method]));
  }

  get stored() {
    return this.manifest.panels.map((panel) => panel.key);
  }

  method(key) {
    return this.methods.get(parts(key).method);
  }

  signed(key) {
    return Boolean(this.method(key)?.signed);
  }

  title(key) {
    const { method, lag } = parts(key);
    if (method === "screen") return "Game screen";
    if (method === "input") return lag === "all" ? "All frames the network sees" : "What the network sees";
    return this.methods.get(method)?.title ?? method;
  }

  meaning(key) {
    const { method } = parts(key);
    if (method === "screen") return "The game as a player sees it.";
    if (method === "input") return "The frames that the decision was made from, as the network gets them.";
    return this.methods.get(method)?.meaning ?? "";
  }

  // What an evaluation says of a panel that explains what was evaluated.
  trusted(key) {
    const { badges, layers } = this.manifest;
    const { method, stream, action, layer, lag, agent } = parts(key);
    if (!badges?.methods || agent || stream !== badges.stream || action !== badges.action) return [];
    if ((lag && lag !== "0") || (layer && layer !== layers[0])) return [];
    return (badges.methods[method] ?? []).map((badge) => ({ ...badge, words: TRUST[badge.question]?.[badge.answer] ?? badge.question }));
  }

  // What an evaluation calls a panel's method, with and without its output and convolution.
  scored(key) {
    const { method, stream, layer } = parts(key);
    const place = this.manifest.layers?.indexOf(layer) ?? -1;
    const name = place > 0 ? `${method}@${place + 1}` : method;
    return [`${stream}: ${name}`, name];
  }

  action(text) {
    const names = this.manifest.actions ?? [];
    if (SELECTIONS[text]) return SELECTIONS[text];
    if (/^\d+-\d+$/.test(text)) return text.split("-").map((i) => names[i] ?? i).join(" against ");
    return names[text] ?? `action ${text}`;
  }

  lag(text) {
    return text === "" ? "" : /^\d+$/.test(text) ? `t-${text}` : `${text} of frames`;
  }

  agent(id) {
    return this.manifest.agents.find((agent) => agent.id === id)?.label ?? id;
  }

  // What a panel explains, in short.
  detail(key) {
    const { method, stream, action, layer, lag, agent } = parts(key);
    if (method === "screen") return "";
    if (method === "input") return lag === "all" ? "" : this.lag(lag);
    const what = stream === "value" ? "value" : `${stream} of ${this.action(action)}`;
    return [what, layer, lag && lag !== "0" ? this.lag(lag) : "", agent ? this.agent(agent) : ""].filter(Boolean).join(" · ");
  }

  // The values that a field of a panel can have.
  choices(key, field) {
    const { manifest } = this;
    const now = parts(key);
    if (field === "method") {
      const known = manifest.computes ? [...this.methods.keys()] : [...new Set(this.stored.map((k) => parts(k).method))];
      return ["screen", "input", ...known];
    }
    if (now.method === "screen") return [];
    if (now.method === "input") return field === "lag" && manifest.input.lags > 1 ? ["0", ...range(1, manifest.input.lags), "all"] : [];
    if (!manifest.computes) {
      return [...new Set(this.stored.map(parts).filter((p) => p.method === now.method).map((p) => p[field]))];
    }
    const method = this.methods.get(now.method);
    if (field === "stream") {
      const streams = manifest.streams.map((stream) => stream.name).filter((name) => name !== "log_std");
      const extra = streams.includes("policy") && manifest.actions ? ["probability"] : [];
      const known = [...streams, ...extra].filter((name) => method.name !== "sarfa" || name !== "value");
      return known.includes(now.stream) ? known : [...known, now.stream];
    }
    if (field === "action") {
      if (now.stream === "value") return ["taken"];
      if (method.name === "noise_saliency") return ["all"];
      const known = [...manifest.selections, ...(manifest.actions ?? []).map((_, i) => String(i))];
      return known.includes(now.action) ? known : [...known, now.action];
    }
    if (field === "layer") return method.layered ? manifest.layers : [];
    if (field === "lag") {
      if (!method.lagged) return [];
      const lags = manifest.memory ? Math.max(manifest.input.lags, 10) : manifest.input.lags;
      const words = ["noise_saliency", "sarfa"].includes(method.name) ? [] : ["sum", "mean"];
      return lags > 1 ? ["0", ...range(1, lags), ...words] : ["0"];
    }
    return manifest.agents.length > 1 ? manifest.agents.map((agent) => agent.id) : [];
  }

  label(field, value) {
    if (field === "method") return this.title(`${value}~~~~0~`);
    if (field === "action") return this.action(value);
    if (field === "lag") return value === "all" ? "all frames" : this.lag(value);
    if (field === "agent") return value ? this.agent(value) : "the agent";
    return value;
  }

  // The panel that comes of changing a field.
  changed(key, field, value) {
    const wanted = { ...parts(key), [field]: value };
    if (wanted.method === "screen") return join({ method: "screen" });
    if (wanted.method === "input") return join({ method: "input", lag: field === "lag" ? value : "0" });
    if (!isMap(key)) Object.assign(wanted, { ...parts(this.stored[0] ?? this.manifest.first.find(isMap) ?? ""), method: value });
    if (this.manifest.computes) return this.complete(wanted);
    const likeness = (candidate) => FIELDS.reduce((sum, name) => sum + (candidate[name] === wanted[name] ? 1 : 0), 0);
    const fitting = this.stored.map(parts).filter((p) => p[field] === value);
    const sameMethod = fitting.filter((p) => p.method === wanted.method);
    const from = sameMethod.length ? sameMethod : fitting;
    return from.length ? join(from.reduce((best, p) => (likeness(p) > likeness(best) ? p : best))) : key;
  }

  complete(wanted) {
    const fields = { ...wanted };
    for (const name of ["stream", "action", "layer", "lag"]) {
      const known = this.choices(join(fields), name);
      if (!known.includes(fields[name])) fields[name] = known.length ? this.usual(name, known) : "";
    }
    return join(fields);
  }

  usual(name, known) {
    const streams = ["q", "policy"].find((stream) => known.includes(stream));
    return name === "stream" && streams ? streams : known[0];
  }
}

function range(from, to) {
  return Array.from({ length: to - from }, (_, i) => String(from + i));
}
