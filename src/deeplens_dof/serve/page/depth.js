// Depth maps as 16-bit grey PNG files, near is bright. Decoded and encoded here, because a canvas has 8 bits only.

const GRID = 48; // samples along each side of a rectangle
const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

export class DepthMap {
  /** codes: Uint16Array, row by row, 0 far .. 65535 near. description: the PNG's text with their unit and scale. */
  constructor(width, height, codes, description = "") {
    Object.assign(this, { width, height, codes, description });
  }

  /** The depth 0..1 at a point (x, y) of 0..1. */
  at(x, y) {
    return this.codes[this.index(x, y)] / 65535;
  }

  index(x, y) {
    const column = Math.min(this.width - 1, Math.max(0, Math.floor(x * this.width)));
    const row = Math.min(this.height - 1, Math.max(0, Math.floor(y * this.height)));
    return row * this.width + column;
  }

  /** The number of pixels in each of so many equal steps of depth. */
  histogram(steps) {
    const counts = new Array(steps).fill(0);
    for (const code of this.codes) counts[Math.min(steps - 1, Math.floor((code / 65536) * steps))] += 1;
    return counts;
  }

  /** The share of black to white that a focus range of 1 covers. */
  get fullRange() {
    const scale = /unit (\S+), black (\S+), white (\S+)/.exec(this.description);
    if (!scale) return 1;
    const [, unit, black, white] = scale;
    if (unit !== "1/m") return 1 / (Number(white) - parseFloat(black));
    const sorted = Uint16Array.from(this.codes.filter((_, i) => i % 31 === 0)).sort();
    return (sorted[Math.floor(sorted.length * 0.995)] - sorted[Math.floor(sorted.length * 0.005)]) / 65535;
  }

  /**
   * The focus that keeps a rectangle sharp: { point, depth, range }. The depth is the middle of those in the rectangle,
   * without the nearest and farthest tenth; the point is one of that depth, close to the rectangle's centre.
   */
  focusFor(left, top, right, bottom) {
    const centre = [(left + right) / 2, (top + bottom) / 2];
    const samples = this.samplesIn(left, top, right, bottom).sort((a, b) => a.depth - b.depth);
    const far = samples[Math.floor(samples.length * 0.1)].depth, near = samples[Math.floor(samples.length * 0.9)].depth;
    const cost = ({ depth, point: [x, y] }) => Math.abs(depth - (near + far) / 2) + 0.05 * Math.hypot(x - centre[0], y - centre[1]);
    const { point, depth } = samples.reduce((a, b) => (cost(a) <= cost(b) ? a : b));
    const widest = 2 * Math.max(near - depth, depth - far); // the range is centred on the focus
    const range = Math.max(0.04, widest / this.fullRange + 0.02);
    return { point, depth, range: Math.min(1, Math.round(range * 100) / 100) };
  }

  samplesIn(left, top, right, bottom) {
    return Array.from({ length: GRID * GRID }, (_, n) => {
      const x = left + (((n % GRID) + 0.5) / GRID) * (right - left);
      const y = top + ((Math.floor(n / GRID) + 0.5) / GRID) * (bottom - top);
      return { point: [x, y], depth: this.at(x, y) };
    });
  }
}

/** Decodes a 16-bit grey PNG into a DepthMap. Throws for anything else. */
export async function readDepth(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) throw new Error("The depth is not a PNG file.");
  let width = 0, height = 0, description = "";
  const parts = [];
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (kind === "IHDR") {
      width = view.getUint32(at + 8);
      height = view.getUint32(at + 12);
      if (body[8] !== 16 || body[9] !== 0 || body[12]) throw new Error("The depth is not a 16-bit grey PNG file.");
    } else if (kind === "IDAT") parts.push(body);
    else if (kind === "tEXt") {
      const text = new TextDecoder("latin1").decode(body);
      if (text.startsWith("Description\0")) description = text.slice(12);
    }
    at += 12 + length;
  }
  const rows = await through(new DecompressionStream("deflate"), new Blob(parts));
  return new DepthMap(width, height, unfiltered(rows, width, height), description);
}

/** Encodes a DepthMap as a 16-bit grey PNG. */
export async function writeDepth(map) {
  const stride = map.width * 2 + 1;
  const rows = new Uint8Array(stride * map.height);
  const view = new DataView(rows.buffer);
  for (let y = 0, i = 0; y < map.height; y++) {
    for (let x = 0; x < map.width; x++) view.setUint16(y * stride + 1 + 2 * x, map.codes[i++]);
  }
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, map.width);
  head.setUint32(4, map.height);
  head.setUint8(8, 16);
  const text = new TextEncoder().encode(`Description\0${map.description}`);
  return new Blob([
    new Uint8Array(SIGNATURE),
    chunk("IHDR", new Uint8Array(head.buffer)),
    ...(map.description ? [chunk("tEXt", text)] : []),
    chunk("IDAT", await through(new CompressionStream("deflate"), new Blob([rows]))),
    chunk("IEND", new Uint8Array(0)),
  ], { type: "image/png" });
}

async function through(stream, blob) {
  return new Uint8Array(await new Response(blob.stream().pipeThrough(stream)).arrayBuffer());
}

/** Reverses the five PNG filters (ISO/IEC 15948, 9.2), for two bytes per pixel. */
function unfiltered(rows, width, height) {
  const size = width * 2;
  const codes = new Uint16Array(width * height);
  let above = new Uint8Array(size);
  for (let y = 0; y < height; y++) {
    const start = y * (size + 1);
    const filter = rows[start];
    const row = rows.subarray(start + 1, start + 1 + size);
    for (let i = 0; i < size; i++) {
      const left = i < 2 ? 0 : row[i - 2];
      const corner = i < 2 ? 0 : above[i - 2];
      if (filter === 1) row[i] += left;
      else if (filter === 2) row[i] += above[i];
      else if (filter === 3) row[i] += (left + above[i]) >> 1;
      else if (filter === 4) row[i] += paeth(left, above[i], corner);
    }
    for (let x = 0; x < width; x++) codes[y * width + x] = (row[2 * x] << 8) | row[2 * x + 1];
    above = row;
  }
  return codes;
}

function paeth(left, above, corner) {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

function chunk(kind, body) {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
