// A PNG with text in it: the parameters of a drawing travel with the picture.
import { crc32 } from 'hash-wasm';

const HEADER = 8 + 25; // the signature, and the IHDR chunk that comes first

/**
 * `png` with `text` under `keyword` in an iTXt chunk (PNG specification, 11.3.3.4): UTF-8, not compressed.
 *
 * @param {Blob} png
 * @param {string} keyword Latin, at most 79 characters
 * @param {string} text
 */
export async function withText(png, keyword, text) {
  const bytes = new Uint8Array(await png.arrayBuffer());
  const body = new TextEncoder().encode(`iTXt${keyword}\0\0\0\0\0${text}`);
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, Number.parseInt(await crc32(body), 16));
  return new Blob([bytes.subarray(0, HEADER), chunk, bytes.subarray(HEADER)], { type: 'image/png' });
}
