// How the lanes of the timeline are drawn. A plot has a pen, inks, a range of rows and the places of rows.
import { CATEGORIES } from "./colours.js";
import { clamp, number } from "./numbers.js";

// Where games begin and lives are lost, across all lanes.
export function drawEnds(plot, box) {
  const pen = plot.pen;
  for (const [rows, colour, dash] of [[plot.starts, plot.inks.quiet, []], [plot.losses, "#e5534b", [2, 3]]]) {
    pen.strokeStyle = colour;
    pen.globalAlpha = 0.55;
    pen.setLineDash(dash);
    pen.beginPath();
    for (const row of rows) {
      const x = Math.round(plot.x(row)) + 0.5;
      pen.moveTo(x, box.top);
      pen.lineTo(x, box.top + box.height);
    }
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }
}

export function drawLines(plot, box, columns, { colours = columns.length === 1 ? ["#56a8f0"] : CATEGORIES, low, high, log = false, steps = false, front } = {}) {
  const [from, to] = plot.range;
  const first = Math.floor(from), last = Math.min(Math.ceil(to), plot.steps);
  const read = (v) => (log ? Math.log10(Math.max(v, 1e-12)) : v);
  let least = low ?? Infinity, most = high ?? -Infinity;
  for (const { values } of columns) {
    for (let row = first; row < last; row++) {
      const v = read(values[row]);
      if (v === v && !(log && values[row] <= 0)) { if (low === undefined && v < least) least = v; if (high === undefined && v > most) most = v; }
    }
  }
  if (!(most > least)) { most = least + 0.5; least -= 0.5; }
  const y = (v) => box.top + box.height - 3 - ((clamp(read(v), least, most) - least) / (most - least)) * (box.height - 6);
  const pen = plot.pen;
  pen.lineWidth = columns.length > 6 ? 1 : 1.4;
  pen.lineJoin = "round";
  const many = (last - first) / plot.inner > 2;
  const { first: zero, each } = plot.places;
  const place = (row) => zero + row * each;
  // Another course of the game is drawn over this one, dashed.
  const others = plot.other?.series.filter((column) => column.group === columns[0].group && columns[0].group.startsWith("stream:")) ?? [];
  others.forEach(({ values }, i) => {
    pen.strokeStyle = colours[i % colours.length];
    pen.setLineDash([4, 3]);
    pen.beginPath();
    for (let k = 0; k < values.length; k++) {
      if (k) pen.lineTo(place(k + plot.other.shift), y(values[k]));
      else pen.moveTo(place(plot.other.shift), y(values[0]));
    }
    pen.stroke();
    pen.setLineDash([]);
  });
  // One of many lines stands before the others, which only show what it is to be compared with.
  const ordered = front ? [...columns.filter((column) => column !== front), front] : columns;
  ordered.forEach((column, i) => {
    const { values } = column;
    const colour = !front ? colours[i % colours.length] : column === front ? plot.inks.accent : plot.inks.quiet;
    pen.globalAlpha = front && column !== front ? 0.22 : 1;
    if (column === front) pen.lineWidth = 1.8;
    pen.strokeStyle = colour;
    pen.beginPath();
    let down = false;
    if (many) { drawDense(plot, values, first, last, place, y, colour); return; }
    for (let row = first; row < last; row++) {
      const v = values[row];
      if (v !== v) { down = false; continue; }
      const x = place(row);
      if (!down) pen.moveTo(x, y(v));
      else if (steps) { pen.lineTo(x, y(values[row - 1])); pen.lineTo(x, y(v)); } else pen.lineTo(x, y(v));
      down = true;
    }
    pen.stroke();
  });
  pen.globalAlpha = 1;
  drawEnd(plot, box, log ? `1e${most.toFixed(1)}` : number(most), log ? `1e${least.toFixed(1)}` : number(least));
}

// Of many rows on one column of pixels, the span from the smallest to the largest.
export function drawDense(plot, values, first, last, place, y, colour) {
  const pen = plot.pen;
  pen.fillStyle = colour;
  let before = NaN;
  for (let row = first; row < last;) {
    const x = Math.floor(place(row));
    let min = Infinity, max = -Infinity, final = NaN;
    for (; row < last && place(row) < x + 1; row++) {
      const v = values[row];
      if (v === v) { if (v < min) min = v; if (v > max) max = v; final = v; }
    }
    if (max < min) { before = NaN; continue; }
    // Columns touch, so that a jump between two of them is seen.
    const high = y(before > max ? before : max), low = y(before < min ? before : min);
    pen.fillRect(x, high - 0.5, 1.2, Math.max(low - high + 1, 1.2));
    before = final;
  }
}

export function drawEnd(plot, box, high, low) {
  if (box.height < 34) return;
  const pen = plot.pen;
  pen.font = "10px system-ui, sans-serif";
  pen.textAlign = "right";
  pen.textBaseline = "alphabetic";
  for (const [text, y] of [[high, box.top + 10], [low, box.top + box.height - 3]]) {
    const width = pen.measureText(text).width;
    pen.fillStyle = plot.inks.lane;
    pen.globalAlpha = 0.75;
    pen.fillRect(box.left + box.width - width - 5, y - 9, width + 5, 11);
    pen.globalAlpha = 1;
    pen.fillStyle = plot.inks.quiet;
    pen.fillText(text, box.left + box.width - 3, y);
  }
}

export function drawRewards(plot, box) {
  const values = plot.column("reward")?.values;
  if (!values) return;
  const [from, to] = plot.range;
  let most = 0;
  for (const v of values) most = Math.max(most, Math.abs(v) || 0);
  const pen = plot.pen, middle = box.top + box.height / 2;
  pen.strokeStyle = plot.inks.line;
  pen.beginPath();
  pen.moveTo(box.left, middle);
  pen.lineTo(box.left + box.width, middle);
  pen.stroke();
  const { first, each } = plot.places;
  pen.lineWidth = Math.max(1.5, Math.min(4, each - 1));
  for (let row = Math.floor(from); row < Math.min(to, plot.steps); row++) {
    const v = values[row];
    if (!v) continue;
    pen.strokeStyle = v > 0 ? "#e69f00" : "#e5534b";
    pen.beginPath();
    pen.moveTo(first + row * each, middle);
    pen.lineTo(first + row * each, middle - Math.sign(v) * (0.3 + 0.7 * (Math.abs(v) / most)) * (box.height / 2 - 2));
    pen.stroke();
  }
}

export function drawActions(plot, box) {
  const values = plot.column("action").values, greedy = plot.column("greedy")?.values;
  const [from, to] = plot.range;
  const { first, each } = plot.places;
  const last = Math.min(Math.ceil(to), plot.steps);
  const pen = plot.pen;
  for (let row = Math.floor(from); row < last;) {
    // Rows in a row with one action, and all on one column of pixels, are one rectangle.
    const begin = row, action = values[row], left = first + (row - 0.5) * each;
    let other = false;
    while (row < last && (values[row] === action || first + (row + 0.5) * each < left + 1)) {
      other ||= greedy?.[row] === 0 && each < 1;
      row++;
    }
    if (Number.isNaN(action)) { row = Math.max(row, begin + 1); continue; }
    pen.fillStyle = CATEGORIES[action % CATEGORIES.length];
    pen.fillRect(left, box.top + 6, Math.ceil((row - begin) * each), box.height - 6);
    pen.fillStyle = plot.inks.ink;
    if (other) pen.fillRect(left, box.top, Math.max((row - begin) * each, 1), 4);
    for (let k = begin; each >= 1 && k < row; k++) {
      if (greedy?.[k] === 0) pen.fillRect(first + (k - 0.5) * each, box.top, Math.max(each - 0.5, 1), 4);
    }
  }
}

export function drawShares(plot, box, columns) {
  const [from, to] = plot.range;
  const first = Math.floor(from), last = Math.min(Math.ceil(to), plot.steps);
  const { first: zero, each } = plot.places;
  // At most one corner a pixel.
  const count = Math.min(last - first, Math.ceil(plot.inner)), every = (last - first) / count;
  const below = new Float32Array(count);
  const pen = plot.pen;
  const y = (share) => box.top + box.height * (1 - share);
  columns.forEach(({ values }, i) => {
    pen.fillStyle = `hsl(${212 - 8 * i} ${70 - 3 * i}% ${Math.min(38 + 40 * (i / Math.max(columns.length - 1, 1)), 84)}%)`;
    pen.beginPath();
    const lower = below.slice();
    for (let k = 0; k < count; k++) {
      const share = values[first + Math.floor(k * every)];
      below[k] += share === share ? share : 0;
      const x = zero + (first + k * every) * each;
      if (k) pen.lineTo(x, y(below[k])); else pen.moveTo(x, y(below[k]));
    }
    for (let k = count - 1; k >= 0; k--) pen.lineTo(zero + (first + k * every) * each, y(lower[k]));
    pen.fill();
  });
}
