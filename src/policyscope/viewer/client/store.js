// Rows that were fetched, decoded once and let go of when memory is short.
import { readMaps, readPictures, unbundle } from "./bytes.js";

const MOST_BYTES = 500e6;
const MOST_RECENT = 64;
const RETRY = 2000;

export class Store {
  constructor(source, manifest, changed) {
    this.source = source;
    this.window = manifest.window;
    this.held = manifest.windows ? new Set(manifest.windows) : null;
    this.changed = changed;
    this.chunks = new Map(); // "kind/W" -> {chunk} | {error, at} | {loading}
    this.recent = new Map(); // kind -> chunks of a game that is being played, in order
    this.statistics = new Map();
    this.bytes = 0;
  }

  // Whether a row can be had at all.
  has(row) {
    return !this.held || this.held.has(Math.floor(row / this.window));
  }

  // The chunk that holds a row, if it is here; otherwise it is fetched, and `changed` is called.
  chunk(kind, row) {
    const fresh = this.recent.get(kind);
    if (fresh) {
      for (let i = fresh.length - 1; i >= 0; i--) {
        if (row >= fresh[i].first && row < fresh[i].first + fresh[i].count) return fresh[i];
      }
    }
    const place = `${kind}/${Math.floor(row / this.window)}`;
    const found = this.chunks.get(place);
    if (found?.chunk && row < found.chunk.first + found.chunk.count) {
      this.chunks.delete(place); // the youngest is last
      this.chunks.set(place, found);
      return found.chunk;
    }
    this.fetch(kind, place, found);
    return undefined;
  }

  error(kind, row) {
    return this.chunks.get(`${kind}/${Math.floor(row / this.window)}`)?.error;
  }

  // Fetches what is needed around a row, once what is shown is there.
  prefetch(kinds, row, steps) {
    if (!kinds.every((kind) => this.chunk(kind, row) || this.error(kind, row))) return;
    for (const kind of kinds) {
      for (const near of [row + this.window, row - this.window]) {
        if (near >= 0 && near < steps && this.has(near)) this.chunk(kind, near);
      }
    }
  }

  async fetch(kind, place, found) {
    if (found?.loading || (found?.error && performance.now() - found.at < RETRY)) return;
    this.drop(place);
    this.chunks.set(place, { loading: true });
    try {
      const [, name, track, row] = /^(.*?)(?:@(\d+))?\/(\d+)$/.exec(place);
      const bundle = unbundle(await this.source.get(`${name}/${row}`, track));
      this.keep(place, await decode(kind, bundle));
    } catch (error) {
      this.chunks.set(place, { error: error.message, at: performance.now() });
    }
    this.changed();
  }

  keep(place, chunk) {
    this.chunks.set(place, { chunk });
    this.bytes += chunk.bytes;
    for (const [old, { chunk: gone }] of this.chunks) {
      if (this.bytes <= MOST_BYTES || old === place) break;
      if (gone) this.drop(old);
    }
  }

  drop(place) {
    const gone = this.chunks.get(place)?.chunk;
    if (gone) {
      this.bytes -= gone.bytes;
      gone.bitmap?.close();
    }
    this.chunks.delete(place);
  }

  // Rows of a game that is being played, as they come.
  put(kind, chunk) {
    const list = this.recent.get(kind) ?? [];
    list.push(chunk);
    while (list.length > MOST_RECENT) list.shift().bitmap?.close();
    this.recent.set(kind, list);
  }

  forget() {
    for (const place of [...this.chunks.keys()]) this.drop(place);
    for (const list of this.recent.values()) list.forEach((chunk) => chunk.bitmap?.close());
    this.recent.clear();
    this.statistics.clear();
  }

  // A panel's statistics over the episode: undefined until they are known, null where nobody knows them.
  episode(key) {
    if (!this.statistics.has(key)) {
      this.statistics.set(key, undefined);
      this.source.json(`stats/${key}`).then(
        (found) => this.statistics.set(key, found.rows ? found : null),
        () => this.statistics.set(key, null),
      ).then(this.changed);
    }
    return this.statistics.get(key);
  }
}

export function decode(kind, bundle) {
  return kind.startsWith("maps/") ? readMaps(bundle) : readPictures(bundle);
}
