// Bundles: a JSON header, and the bytes that it describes.

export function unbundle(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let place = 4 + length;
  const parts = header.parts.map((size) => {
    const part = new Uint8Array(buffer, place, size);
    place += size;
    return part;
  });
  return { header, parts };
}

export async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// Floats of a part that may not begin at a multiple of four.
export function floats(bytes) {
  return new Float32Array(bytes.slice().buffer);
}

export async function readSeries({ header, parts }) {
  const values = floats(await inflate(parts[0]));
  return header.columns.map(({ name, group }, i) => ({
    name, group, values: values.subarray(i * header.count, (i + 1) * header.count),
  }));
}

export async function readMaps({ header, parts }) {
  const data = await inflate(parts[0]);
  const [height, width] = header.size;
  return {
    first: header.first, count: header.count, height, width,
    data: new Int8Array(data.buffer, data.byteOffset, data.length), numbers: floats(parts[1]),
    bytes: data.length,
  };
}

export async function readPictures({ header, parts }) {
  const bitmap = await createImageBitmap(new Blob([parts[0]], { type: "image/webp" }));
  return { ...header, bitmap, bytes: 4 * bitmap.width * bitmap.height };
}
