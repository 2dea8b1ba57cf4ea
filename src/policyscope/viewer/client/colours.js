// From a map's bytes to colours: what a byte is worth, whose statistics make the scale, and what it looks like.

export const NORMS = {
  frame: "each map by its own 99.5th percentile",
  episode: "all maps of a panel over one number for the episode",
  max: "each map by its own largest value",
  paper: "the paper's: minus mean, over deviation, times 0.1; CAMs over their maximum",
  paper_episode: "the paper's, with one mean and deviation for the episode",
};

const [SCALE, MEAN, STD, MAX, Q995] = [0, 1, 2, 3, 4];

// What is taken off a map's values and what they are then divided by.
export function scaling(norm, signed, numbers, at, episode) {
  const frame = { mean: numbers[at + MEAN], std: numbers[at + STD], max: numbers[at + MAX], q995: numbers[at + Q995] };
  const known = norm.endsWith("episode") && episode ? episode : frame;
  if (norm.startsWith("paper")) {
    return signed ? { centre: known.mean, divisor: (known.std + 1e-5) / 0.1 } : { centre: 0, divisor: known.max };
  }
  if (norm === "max") return { centre: 0, divisor: known.max };
  return { centre: 0, divisor: known.q995 || known.max };
}

// What each byte (as an index 0 to 255) of a map is worth, raw.
const ROOTS = Float32Array.from({ length: 256 }, (_, i) => {
  const byte = i > 127 ? i - 256 : i;
  return Math.sign(byte) * (byte / 127) ** 2;
});

export function worth(numbers, at, table) {
  const scale = numbers[at + SCALE];
  for (let i = 0; i < 256; i++) table[i] = ROOTS[i] * scale;
  return table;
}

const MIDDLE = 256;

// 513 colours (RGBA, as ImageData has them) of -1 to 1.
export function colourTable(palette, name, opacity) {
  const table = new Uint32Array(2 * MIDDLE + 1);
  for (let i = 0; i <= 2 * MIDDLE; i++) {
    const value = (i - MIDDLE) / MIDDLE;
    const size = Math.abs(value);
    const stops = value < 0 && palette.negative ? palette.negative : palette.positive;
    let [red, green, blue] = along(stops, size);
    let alpha = opacity * size ** palette.reach;
    if (name === "paper") {
      // The paper lays the map, black where it is zero, half over the frame.
      [red, green, blue] = [red * size, green * size, blue * size];
      alpha = opacity * 0.54;
    }
    table[i] = (Math.round(255 * alpha) << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red);
  }
  return table;
}

export function colourIndex(value) {
  return value >= 1 ? 2 * MIDDLE : value <= -1 ? 0 : Math.round(value * MIDDLE) + MIDDLE;
}

function along(stops, place) {
  const at = Math.min(place, 1) * (stops.length - 1);
  const low = Math.min(Math.floor(at), Math.max(stops.length - 2, 0));
  const part = at - low;
  const [from, to] = [rgb(stops[low]), rgb(stops[Math.min(low + 1, stops.length - 1)])];
  return from.map((value, i) => value * (1 - part) + to[i] * part);
}

function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

// A gradient for CSS, as the palette looks over black.
export function barOf(palette, signed) {
  const steps = [];
  for (let i = signed ? -10 : 0; i <= 10; i++) {
    const size = Math.abs(i) / 10;
    const stops = i < 0 && palette.negative ? palette.negative : palette.positive;
    steps.push(`rgb(${along(stops, size).map((c) => Math.round(c * size ** palette.reach)).join(" ")})`);
  }
  return `linear-gradient(to right, ${steps.join(", ")})`;
}

// Twelve colours that people with any colour vision tell apart better than most (after Okabe and Ito, and Tol).
export const CATEGORIES = [
  "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2",
  "#d55e00", "#999999", "#88ccee", "#aa4499", "#ddcc77", "#44aa99",
  "#117733", "#882255", "#6699cc", "#cc6677", "#999933", "#b8b8ff",
];
