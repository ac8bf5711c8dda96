// One file of a bundle from its server, hashed on the way, taken up again where a connection breaks off.
import { TurboError, firstLine } from './errors.mjs';

const TRIES = 4; // connections in a row that bring nearly nothing
const PROGRESS = 1 << 16; // bytes from which a connection has brought something
const PAUSE_MS = 500;
const WHOLE = 'copy the bundle whole to the server, or export it anew';

/** @typedef {import('./types.js').BundleFile} BundleFile */
/** @typedef {import('./store.mjs').Part} Part */
/** @typedef {import('./artifacts.mjs').Hasher} Hasher */

/**
 * Bring `part` to the file's bytes. What was begun by an earlier visit may be damaged, or of another file than the
 * server has now, so that a wrong digest is believed only of what has been fetched from its first byte.
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
 * Hash what has come of a file; begin anew where it cannot be read.
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
 * Fetch what `part` lacks, as far as the connection lasts.
 *
 * @param {BundleFile} file
 * @param {URL} url
 * @param {Part} part
 * @param {Hasher} hasher
 * @param {(received: number) => void} tell
 */
async function receive(file, url, part, hasher, tell) {
  const headers = part.size ? { Range: `bytes=${part.size}-` } : undefined;
  // what is kept is kept in the store, not twice
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
    part.clear(); // it gives no ranges, or has another file
    hasher.init();
  }
  if (response.status === 206 && firstByte(response, part.size) !== part.size) {
    await response.body?.cancel();
    part.clear(); // it gives other bytes than were asked for
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
 * A file of another size than the manifest's is told before a byte of it is kept.
 *
 * @param {Response} response
 * @param {BundleFile} file
 */
function requireSize({ status, headers }, file) {
  const range = headers.get('Content-Range')?.split('/')[1];
  // a length is that of the body as it travels: it says nothing where that is compressed
  const length = status === 200 && !headers.has('Content-Encoding') ? headers.get('Content-Length') : null;
  const size = Number(range ?? length ?? file.bytes);
  if (Number.isFinite(size) && size !== file.bytes) throw sizeError(file, String(size));
}

/**
 * Where in the file a partial response begins. A server of another origin may not show it: then it is as asked for.
 *
 * @param {Response} response
 * @param {number} asked
 */
function firstByte({ headers }, asked) {
  return Number(headers.get('Content-Range')?.match(/^bytes ([0-9]+)-/)?.[1] ?? asked);
}

/**
 * @param {BundleFile} file
 * @param {string} found
 */
function sizeError(file, found) {
  const wrong = `${file.path} has ${found} bytes, the manifest says ${file.bytes}`;
  return new TurboError('integrity', wrong, WHOLE, file.path);
}

/**
 * What fetch() throws, and a stream that breaks off, has no name of its own to go by.
 *
 * @param {Error} error
 */
function onlyNetwork(error) {
  if (error instanceof TurboError || error.name === 'QuotaExceededError') throw error;
  return error;
}
