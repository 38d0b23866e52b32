// Depth maps as the service gives and takes them: 16-bit grey PNG, near is bright. Read and written here, because a
// canvas would cut them to 8 bits.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

export class DepthMap {
  /** codes: Uint16Array, row by row, 0 far .. 65535 near. description: the text that says what they mean. */
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

  /** How many pixels lie in each of so many equal steps of depth. */
  histogram(steps) {
    const counts = new Array(steps).fill(0);
    for (const code of this.codes) counts[Math.min(steps - 1, Math.floor((code / 65536) * steps))] += 1;
    return counts;
  }

  /** Which share of black to white the focus range 1 covers. */
  get fullRange() {
    const [, unit, , white] = /unit (\S+), black (\S+), white (\S+)/.exec(this.description) || [];
    const black = Number((/black ([^,\s]+)/.exec(this.description) || [0, 0])[1]);
    if (unit !== "1/m") return white ? 1 / (Number(white) - black) : 1;
    const sorted = Uint16Array.from(this.codes.filter((_, i) => i % 31 === 0)).sort();
    return (sorted[Math.floor(sorted.length * 0.995)] - sorted[Math.floor(sorted.length * 0.005)]) / 65535;
  }
}

/** A 16-bit grey PNG to a DepthMap. Throws for anything else. */
export async function readDepth(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) throw new Error("The depth is no PNG.");
  let width = 0, height = 0, description = "";
  const parts = [];
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (kind === "IHDR") {
      width = view.getUint32(at + 8);
      height = view.getUint32(at + 12);
      if (body[8] !== 16 || body[9] !== 0 || body[12]) throw new Error("The depth is no 16-bit grey PNG.");
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

/** A DepthMap as the bytes of a 16-bit grey PNG. */
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

/** Undoes the five filters of PNG (ISO/IEC 15948, 9.2) for two bytes a pixel. */
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
