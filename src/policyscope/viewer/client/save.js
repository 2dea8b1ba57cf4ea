// What one sees, as a file: a PNG, a GIF, or this page with its notes.
import { el } from "./numbers.js";
import { canvas } from "./painter.js";

export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = el("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// All panels with their titles on one canvas.
export function picture(view, scale = 1) {
  const cards = view.panels.cards.filter((card) => card.canvas.width);
  const gap = 12, head = 44, foot = 22;
  const across = Math.max(...cards.map((card) => card.canvas.clientWidth)), columns = Math.min(cards.length, Math.max(1, Math.floor(1500 / across)));
  const down = Math.max(...cards.map((card) => card.canvas.clientHeight)) + head + foot;
  const made = canvas((columns * (across + gap) + gap) * scale, (Math.ceil(cards.length / columns) * (down + gap) + gap + 26) * scale);
  const pen = made.getContext("2d");
  pen.scale(scale, scale);
  pen.fillStyle = "#12161d";
  pen.fillRect(0, 0, made.width, made.height);
  pen.textBaseline = "middle";
  pen.fillStyle = "#f0f3f7";
  pen.font = "600 14px system-ui, sans-serif";
  pen.fillText(`${view.manifest.title} · ${view.now()}`, gap, 20);
  cards.forEach((card, i) => {
    const x = gap + (i % columns) * (across + gap), y = 30 + Math.floor(i / columns) * (down + gap);
    pen.fillStyle = "#f0f3f7";
    pen.font = "600 13px system-ui, sans-serif";
    pen.fillText(view.names.title(card.panel.key) + (card.panel.minus ? ` minus ${view.names.title(card.panel.minus)}` : ""), x, y + 14, across);
    pen.fillStyle = "#a3adbb";
    pen.font = "11px system-ui, sans-serif";
    pen.fillText(view.names.detail(card.panel.key), x, y + 32, across);
    pen.imageSmoothingEnabled = true;
    pen.drawImage(card.canvas, x, y + head, card.canvas.clientWidth, card.canvas.clientHeight);
    const text = [card.low.textContent && `${card.low.textContent} to ${card.high.textContent}`, card.told.textContent].filter(Boolean).join(" · ");
    pen.fillText(text, x, y + head + card.canvas.clientHeight + 12, across);
  });
  return made;
}

// A GIF of some frames (canvases of one size), each with one palette of 256 colours chosen from all frames.
export function gif(frames, delay) {
  const { width, height } = frames[0];
  const pixels = frames.map((frame) => frame.getContext("2d").getImageData(0, 0, width, height).data);
  const palette = medianCut(pixels);
  const nearest = new Map();
  const out = [...ascii("GIF89a"), ...short(width), ...short(height), 0xf7, 0, 0];
  for (let i = 0; i < 256; i++) out.push(...(palette[i] ?? [0, 0, 0]));
  out.push(0x21, 0xff, 11, ...ascii("NETSCAPE2.0"), 3, 1, 0, 0, 0);
  for (const data of pixels) {
    const indices = new Uint8Array(width * height);
    for (let i = 0; i < indices.length; i++) {
      const code = ((data[4 * i] >> 3) << 10) | ((data[4 * i + 1] >> 3) << 5) | (data[4 * i + 2] >> 3);
      let index = nearest.get(code);
      if (index === undefined) nearest.set(code, (index = closest(palette, code)));
      indices[i] = index;
    }
    out.push(0x21, 0xf9, 4, 4, ...short(Math.round(delay * 100)), 0, 0, 0x2c, 0, 0, 0, 0, ...short(width), ...short(height), 0, 8);
    const packed = lzw(indices);
    for (let i = 0; i < packed.length; i += 255) {
      const block = packed.slice(i, i + 255);
      out.push(block.length);
      for (const byte of block) out.push(byte);
    }
    out.push(0);
  }
  out.push(0x3b);
  return new Blob([new Uint8Array(out)], { type: "image/gif" });
}

const ascii = (text) => [...text].map((letter) => letter.charCodeAt(0));
const short = (value) => [value & 255, value >> 8];

function closest(palette, code) {
  const [r, g, b] = [(code >> 10) << 3, ((code >> 5) & 31) << 3, (code & 31) << 3].map((v) => v + 4);
  let best = 0, least = Infinity;
  palette.forEach(([pr, pg, pb], i) => {
    const far = 2 * (pr - r) ** 2 + 4 * (pg - g) ** 2 + (pb - b) ** 2;
    if (far < least) { least = far; best = i; }
  });
  return best;
}

// Boxes of colours, the one of the widest spread (weighed by use) halved until there are 256.
function medianCut(pixels) {
  const counts = new Map();
  for (const data of pixels) {
    for (let i = 0; i < data.length; i += 4 * 3) {
      const code = ((data[i] >> 3) << 10) | ((data[i + 1] >> 3) << 5) | (data[i + 2] >> 3);
      counts.set(code, (counts.get(code) ?? 0) + 1);
    }
  }
  const colours = [...counts].map(([code, count]) => ({ c: [((code >> 10) << 3) + 4, (((code >> 5) & 31) << 3) + 4, ((code & 31) << 3) + 4], count }));
  const measured = (list) => {
    let axis = 0, spread = -1;
    for (let k = 0; k < 3; k++) {
      let low = 256, high = 0;
      for (const { c } of list) { low = Math.min(low, c[k]); high = Math.max(high, c[k]); }
      if (high - low > spread) { spread = high - low; axis = k; }
    }
    const used = list.reduce((sum, { count }) => sum + count, 0);
    return { list, axis, weight: list.length > 1 ? spread * Math.sqrt(used) : -1, used };
  };
  const boxes = [measured(colours)];
  while (boxes.length < 256) {
    const at = boxes.reduce((best, box, i) => (box.weight > boxes[best].weight ? i : best), 0);
    const { list, axis, weight } = boxes[at];
    if (weight < 0) break;
    list.sort((a, b) => a.c[axis] - b.c[axis]);
    boxes.splice(at, 1, measured(list.slice(0, list.length >> 1)), measured(list.slice(list.length >> 1)));
  }
  return boxes.map(({ list, used }) => [0, 1, 2].map((k) => Math.round(list.reduce((sum, { c, count }) => sum + c[k] * count, 0) / used)));
}

function lzw(indices) {
  const clear = 256, end = 257;
  const bytes = [];
  let table = new Map(), next = 258, bits = 9, held = 0, holding = 0;
  const emit = (code) => {
    held |= code << holding;
    holding += bits;
    while (holding >= 8) { bytes.push(held & 255); held >>>= 8; holding -= 8; }
  };
  emit(clear);
  let now = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const pair = now * 256 + indices[i];
    const known = table.get(pair);
    if (known !== undefined) { now = known; continue; }
    emit(now);
    if (next === 4096) {
      emit(clear);
      table = new Map();
      next = 258;
      bits = 9;
    } else {
      if (next === 1 << bits) bits++;
      table.set(pair, next++);
    }
    now = indices[i];
  }
  emit(now);
  emit(end);
  if (holding) bytes.push(held & 255);
  return bytes;
}

// This very page with other notes: the blocks of the file are copied as they are.
export function copyOf(root, manifest, notes) {
  const escape = (value) => JSON.stringify(value).replaceAll("<", "\\u003c");
  const page = root.cloneNode(true);
  page.querySelector("#app").replaceChildren();
  page.querySelector('script[data-key="manifest"]').textContent = escape({ ...manifest, notes });
  return new Blob(["<!doctype html>\n", page.outerHTML], { type: "text/html" });
}
