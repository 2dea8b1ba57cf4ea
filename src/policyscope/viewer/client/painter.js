// Draws one panel: the game's screen, and a map over the part of it that the network sees.
import { colourIndex, scaling, worth } from "./colours.js";

// Where the samples of a bilinear resize lie (align_corners=False, as PyTorch has it): left neighbour and share of the right.
const resizes = new Map();

function resize(from, to) {
  const key = `${from}>${to}`;
  if (!resizes.has(key)) {
    const left = new Int32Array(to), right = new Int32Array(to), share = new Float32Array(to);
    for (let i = 0; i < to; i++) {
      const at = Math.max((i + 0.5) * (from / to) - 0.5, 0);
      left[i] = Math.min(Math.floor(at), from - 1);
      right[i] = Math.min(left[i] + 1, from - 1);
      share[i] = at - left[i];
    }
    resizes.set(key, { left, right, share });
  }
  return resizes.get(key);
}

const table = new Float32Array(256);

// The raw values (height * width) of a chunk's row at the input's size.
export function rawValues(chunk, row, size, into) {
  const { height: h, width: w, data, numbers } = chunk;
  const from = (row - chunk.first) * h * w;
  worth(numbers, (row - chunk.first) * 5, table);
  if (h === size.height && w === size.width) {
    for (let i = 0; i < into.length; i++) into[i] = table[data[from + i] & 255];
    return into;
  }
  const rows = resize(h, size.height), columns = resize(w, size.width);
  for (let y = 0, i = 0; y < size.height; y++) {
    const top = from + rows.left[y] * w, bottom = from + rows.right[y] * w, down = rows.share[y];
    for (let x = 0; x < size.width; x++, i++) {
      const l = columns.left[x], r = columns.right[x], part = columns.share[x];
      const above = table[data[top + l] & 255] * (1 - part) + table[data[top + r] & 255] * part;
      const below = table[data[bottom + l] & 255] * (1 - part) + table[data[bottom + r] & 255] * part;
      into[i] = above * (1 - down) + below * down;
    }
  }
  return into;
}

export class Painter {
  constructor(manifest) {
    this.screen = manifest.screen;
    this.size = manifest.input;
    const area = this.size.height * this.size.width;
    this.values = new Float32Array(area);
    this.others = new Float32Array(area);
    this.layer = canvas(this.size.width, this.size.height);
    this.image = new ImageData(this.size.width, this.size.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.backdrop = canvas(this.screen.width, this.screen.height);
    this.plain = canvas(this.screen.width, this.screen.height);
    this.shown = "";
  }

  // Prepares the screen of a row for all panels: grey, dimmed or in colour, hatched where the network is blind.
  prepare(chunk, row, style) {
    const name = chunk ? `${style}/${row}/${chunk.first}/${chunk.bitmap.width}` : "";
    if (name === this.shown) return;
    this.shown = name;
    const { width, height, placement } = this.screen;
    const context = this.plain.getContext("2d", { willReadFrequently: true });
    context.clearRect(0, 0, width, height);
    if (chunk) drawPicture(context, chunk, row - chunk.first, 0, 0, width, height);
    const picture = context.getImageData(0, 0, width, height);
    const bytes = picture.data;
    if (style !== "colour") {
      const lift = style === "dimmed" ? DIMMED : GREY;
      for (let i = 0; i < bytes.length; i += 4) {
        bytes[i] = bytes[i + 1] = bytes[i + 2] =
          lift[(77 * bytes[i] + 150 * bytes[i + 1] + 29 * bytes[i + 2]) >> 8];
      }
    }
    const [top, left, rows, columns] = placement;
    if (top > 0 || left > 0 || top + rows < height || left + columns < width) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          if (y >= top && y < top + rows && x >= left && x < left + columns) { x = left + columns - 1; continue; }
          const i = 4 * (y * width + x);
          const hatch = (x * 2 + y) % 10 < 2;
          for (let c = 0; c < 3; c++) bytes[i + c] = hatch ? bytes[i + c] * 0.2 + HATCH[c] * 0.7 : bytes[i + c] * 0.45;
        }
      }
    }
    this.backdrop.getContext("2d").putImageData(picture, 0, 0);
  }

  // Draws a map; says what was clipped and how large the scale is.
  map(context, chunk, row, signed, norm, episode, gain, colours, smooth) {
    const at = (row - chunk.first) * 5;
    const { centre, divisor } = scaling(norm, signed, chunk.numbers, at, episode);
    this.ground(context);
    if (!chunk.numbers[at] || !divisor) return { zero: true, scale: 0, clipped: 0 };
    const values = rawValues(chunk, row, this.size, this.values);
    const factor = gain / divisor;
    let clipped = 0;
    for (let i = 0; i < values.length; i++) {
      let value = (values[i] - centre) * factor;
      if (value > 1.000001 || (signed && value < -1.000001)) clipped++;
      if (!signed && value < 0) value = 0;
      this.pixels[i] = colours[colourIndex(value)];
    }
    this.lay(context, smooth);
    return { zero: false, scale: divisor / gain, clipped: clipped / values.length, centre };
  }

  // Draws the difference of two maps, each on its own scale.
  difference(context, one, other, row, norm, gain, colours, smooth) {
    this.ground(context);
    const parts = [[one, this.values], [other, this.others]].map(([{ chunk, signed, episode }, into]) => {
      const { centre, divisor } = scaling(norm, signed, chunk.numbers, (row - chunk.first) * 5, episode);
      return { values: rawValues(chunk, row, this.size, into), centre, factor: divisor ? gain / divisor : 0 };
    });
    const [a, b] = parts;
    let clipped = 0;
    for (let i = 0; i < a.values.length; i++) {
      const value = (a.values[i] - a.centre) * a.factor - (b.values[i] - b.centre) * b.factor;
      if (Math.abs(value) > 1.000001) clipped++;
      this.pixels[i] = colours[colourIndex(value)];
    }
    this.lay(context, smooth);
    return { zero: false, scale: 1, clipped: clipped / a.values.length };
  }

  ground(context) {
    context.imageSmoothingEnabled = false;
    context.drawImage(this.backdrop, 0, 0, context.canvas.width, context.canvas.height);
  }

  lay(context, smooth) {
    this.layer.getContext("2d").putImageData(this.image, 0, 0);
    const { left, top, width, height } = this.seen(context.canvas);
    context.imageSmoothingEnabled = smooth;
    context.save();
    context.beginPath();
    context.rect(0, 0, context.canvas.width, context.canvas.height);
    context.clip();
    context.drawImage(this.layer, left, top, width, height);
    context.restore();
  }

  // Where the observation lies on a panel's canvas.
  seen({ width, height }) {
    const [top, left, rows, columns] = this.screen.placement;
    const across = width / this.screen.width, down = height / this.screen.height;
    return { left: left * across, top: top * down, width: columns * across, height: rows * down };
  }
}

// One picture of a sheet.
export function drawPicture(context, chunk, index, left, top, width, height) {
  const x = (index % chunk.columns) * chunk.width, y = Math.floor(index / chunk.columns) * chunk.height;
  context.imageSmoothingEnabled = false;
  context.drawImage(chunk.bitmap, x, y, chunk.width, chunk.height, left, top, width, height);
}

// The place of a row's frame in a chunk of observations.
export function frameOf(chunk, row, lag) {
  return chunk.before === null ? (row - chunk.first) * chunk.lags + lag : row - chunk.first + chunk.before - lag;
}

export function canvas(width, height) {
  const made = document.createElement("canvas");
  made.width = width;
  made.height = height;
  return made;
}

const HATCH = [78, 90, 108];
const lifted = (dim) => Uint8Array.from({ length: 256 }, (_, i) => Math.round(255 * (i / 255) ** 0.8 * dim));
const DIMMED = lifted(0.62);
const GREY = Uint8Array.from({ length: 256 }, (_, i) => i);
