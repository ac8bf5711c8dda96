// Downloads one file of a bundle, hashes it during the download, and resumes where a connection fails.
import { TurboError, firstLine } from './errors.mjs';

const TRIES = 4; // successive connections without progress before the download fails
const PROGRESS = 1 << 16; // the smallest number of bytes that counts as progress of a connection
const PAUSE_MS = 500;
const WHOLE = 'copy the bundle whole to the server, or export it anew';

/** @typedef {import('./types.js').BundleFile} BundleFile */
/** @typedef {import('./store.mjs').Part} Part */
/** @typedef {import('./artifacts.mjs').Hasher} Hasher */

/**
 * Complete `part` to the bytes of the file. A part of an earlier visit can be damaged, or belong to an older file than
 * that of the server. So a wrong digest fails the download only where the file was downloaded from its first byte.
 * Otherwise the download starts again.
 *
 * @param {BundleFile} file
 * @param {URL} url
 * @param {Part} part
 * @param {Hasher} hasher
 * @param {(received: number) => void} tell
 * @returns {Promise<void>}
 */
export async function complete(file, url, part, hasher, tell) {
  hasher.init();
  await reread(part, hasher);
  const resumed = part.size > 0;
  for (let tries = TRIES; part.size < file.bytes;) {
    const before = part.size;
    const broken = await receive(file, url, part, hasher, tell).catch(onlyNetwork);
    tries = part.size - before >= PROGRESS ? TRIES : tries - 1;
    if (part.size >= file.bytes) break;
    if (tries === 0) {
      const wrong = `${file.path} does not come through (${firstLine(broken ?? 'it ends early')})`;
      throw new TurboError('network', wrong, 'see to the connection and try again: what has come is kept', file.path);
    }
    if (broken) await new Promise((later) => setTimeout(later, PAUSE_MS * (TRIES - tries)));
  }
  if (part.size === file.bytes && hasher.digest() === file.sha256) return;
  part.clear();
  if (resumed) return complete(file, url, part, hasher, tell);
  throw new TurboError('integrity', `${file.path} does not match its sha256 in the manifest`, WHOLE, file.path);
}

/**
 * Hash the bytes of `part`. Where they cannot be read, the download starts again.
 *
 * @param {Part} part
 * @param {Hasher} hasher
 */
async function reread(part, hasher) {
  try {
    for await (const chunk of part.read()) hasher.update(chunk);
  } catch {
    part.clear();
    hasher.init();
  }
}

/**
 * Download the missing bytes of `part` over one connection.
 *
 * @param {BundleFile} file
 * @param {URL} url
 * @param {Part} part
 * @param {Hasher} hasher
 * @param {(received: number) => void} tell
 */
async function receive(file, url, part, hasher, tell) {
  const headers = part.size ? { Range: `bytes=${part.size}-` } : undefined;
  // the store keeps the file, so the browser's HTTP cache must not keep it too
  const response = await fetch(url, { headers, cache: 'no-store' });
  if (response.status === 416) {
    requireSize(response, file);
    part.clear();
    hasher.init();
    return;
  }
  if (!response.ok) {
    const wrong =
      response.status === 404 ? `${file.path} is missing` : `${file.path}: the server says ${response.status}`;
    throw new TurboError('network', wrong, 'copy the bundle whole to the server', file.path);
  }
  requireSize(response, file);
  if (response.status !== 206 && part.size) {
    part.clear(); // the server does not support ranges, or has another file
    hasher.init();
  }
  if (response.status === 206 && firstByte(response, part.size) !== part.size) {
    await response.body?.cancel();
    part.clear(); // the server sends another range than the requested one
    hasher.init();
    return;
  }
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    part.write(chunk.value);
    hasher.update(chunk.value);
    if (part.size > file.bytes) throw sizeError(file, `more than ${file.bytes}`);
    tell(part.size);
  }
}

/**
 * Refuse a file with another size than in the manifest, before a byte of it is stored.
 *
 * @param {Response} response
 * @param {BundleFile} file
 */
function requireSize({ status, headers }, file) {
  const range = headers.get('Content-Range')?.split('/')[1];
  // Content-Length is the length of the transferred body, so it is not used where the body is compressed
  const length = status === 200 && !headers.has('Content-Encoding') ? headers.get('Content-Length') : null;
  const size = Number(range ?? length ?? file.bytes);
  if (Number.isFinite(size) && size !== file.bytes) throw sizeError(file, String(size));
}

/**
 * The position of the first byte of a partial response. A server of another origin may hide the header. Then the
 * position is the requested one.
 *
 * @param {Response} response
 * @param {number} requested
 */
function firstByte({ headers }, requested) {
  return Number(headers.get('Content-Range')?.match(/^bytes ([0-9]+)-/)?.[1] ?? requested);
}

/**
 * @param {BundleFile} file
 * @param {string} size
 */
function sizeError(file, size) {
  const wrong = `${file.path} has ${size} bytes, the manifest says ${file.bytes}`;
  return new TurboError('integrity', wrong, WHOLE, file.path);
}

/**
 * Return errors of the network, and throw all others. Errors of fetch() and of interrupted streams have no name of
 * their own, so they are what remains.
 *
 * @param {Error} error
 */
function onlyNetwork(error) {
  if (error instanceof TurboError || error.name === 'QuotaExceededError') throw error;
  return error;
}
