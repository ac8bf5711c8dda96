// A bundle's files: from the store where it holds them, else fetched, hashed on the way, and kept.
import { TurboError, firstLine } from './errors.mjs';

const TRIES = 4; // a connection that breaks off is taken up again, so often without a byte's progress
const PAUSE_MS = 500;
const REPORT_MS = 100;

/** @typedef {import('./types.js').BundleFile} BundleFile */
/** @typedef {import('./store.mjs').Part} Part */
/** @typedef {{digest: () => string, update: (chunk: Uint8Array) => unknown, init: () => unknown}} Hasher */

export class Artifacts {
  #base;
  #store;
  #named;
  #newHasher;
  /** @type {import('./types.js').OnEvent} */
  report = () => {};

  /**
   * @param {string} base URL of the bundle's folder, ending in a slash
   * @param {import('./types.js').Manifest} manifest
   * @param {import('./store.mjs').DiskStore | import('./store.mjs').MemoryStore} store
   * @param {() => Promise<Hasher>} newHasher a sha256 that takes chunk by chunk: WebCrypto's wants all at once
   */
  constructor(base, manifest, store, newHasher) {
    this.#base = base;
    this.#store = store;
    this.#newHasher = newHasher;
    this.#named = [...Object.values(manifest.components), ...Object.values(manifest.tokenizers)].flatMap(filesOf);
  }

  /**
   * See to it that all files of `entries` are held, one after another; which bytes are held already is told first.
   *
   * @param {Record<string, import('./types.js').Chain | import('./types.js').TokenizerEntry>} entries by name
   */
  async fetch(entries) {
    const lacking = await this.lacking(entries);
    for (const [name, entry] of Object.entries(entries)) {
      const files = filesOf(entry);
      const total = sumOf(files);
      let done = 0;
      for (const file of files) {
        const began = done;
        const cached = !lacking.includes(file);
        const tell = (/** @type {number} */ received) =>
          this.report({ kind: 'download', name, file: file.path, received: began + received, total, cached });
        if (!cached) await this.#download(file, throttled(tell));
        done += file.bytes;
        tell(file.bytes);
      }
    }
  }

  /**
   * The files of `entries` that are not held.
   *
   * @param {Record<string, import('./types.js').Chain | import('./types.js').TokenizerEntry>} entries by name
   */
  async lacking(entries) {
    const lacking = [];
    for (const file of Object.values(entries).flatMap(filesOf)) if (!(await this.#store.get(file))) lacking.push(file);
    return lacking;
  }

  /**
   * A file's bytes, verified.
   *
   * @param {BundleFile} file
   */
  async get(file) {
    return (await this.#store.get(file)) ?? (await this.#download(file, () => {}));
  }

  /**
   * @param {BundleFile} file
   * @param {(received: number) => void} tell
   * @returns {Promise<Blob>}
   */
  #download(file, tell) {
    return this.#store.alone(file, async () => {
      const held = (await this.#store.get(file)) ?? (await this.#kept(file, tell));
      if (held) return held;
      // no room, and the browser's own estimate is no promise of any: what other bundles left goes now
      const again = (await this.#store.prune(this.#named)) && (await this.#kept(file, tell));
      if (again) return again;
      const wrong = `this browser has no room for ${file.path} (${(file.bytes / 1e6).toFixed(1)} MB)`;
      throw new TurboError(
        'quota',
        wrong,
        'free some space, leave the private window, or open with { cache: false }',
        file.path,
      );
    });
  }

  /**
   * The file, fetched and kept; null where there is no room for it.
   *
   * @param {BundleFile} file
   * @param {(received: number) => void} tell
   */
  async #kept(file, tell) {
    const part = await this.#store.part(file);
    try {
      await this.#complete(file, part, tell);
      return await part.keep();
    } catch (error) {
      const full = /** @type {Error} */ (error).name === 'QuotaExceededError';
      if (full || (error instanceof TurboError && error.code === 'integrity')) part.clear();
      if (full) return null;
      throw error;
    } finally {
      await part.close();
    }
  }

  /**
   * Bring `part` to the file's bytes. What was begun by an earlier visit may be of another file than the server has
   * now, so that a wrong digest is believed only of what has been fetched from its first byte.
   *
   * @param {BundleFile} file
   * @param {Part} part
   * @param {(received: number) => void} tell
   * @returns {Promise<void>}
   */
  async #complete(file, part, tell) {
    const resumed = part.size > 0;
    const hasher = await this.#newHasher();
    hasher.init();
    for await (const chunk of part.read()) hasher.update(chunk);
    for (let tries = TRIES; part.size < file.bytes;) {
      const before = part.size;
      const broken = await this.#receive(file, part, hasher, tell).catch(onlyNetwork);
      tries = part.size > before ? TRIES : tries - 1;
      if (tries === 0) {
        const wrong = `${file.path} does not come through (${firstLine(broken ?? 'it ends early')})`;
        throw new TurboError('network', wrong, 'see to the connection and try again: what has come is kept', file.path);
      }
      if (broken) await new Promise((later) => setTimeout(later, PAUSE_MS * (TRIES - tries)));
    }
    if (part.size === file.bytes && hasher.digest() === file.sha256) return;
    part.clear();
    if (resumed) return this.#complete(file, part, tell);
    throw new TurboError('integrity', `${file.path} does not match its sha256 in the manifest`, WHOLE, file.path);
  }

  /**
   * Fetch what `part` lacks, as far as the connection lasts.
   *
   * @param {BundleFile} file
   * @param {Part} part
   * @param {Hasher} hasher
   * @param {(received: number) => void} tell
   */
  async #receive(file, part, hasher, tell) {
    const headers = part.size ? { Range: `bytes=${part.size}-` } : undefined;
    // what is kept is kept in the store, not twice
    const response = await fetch(new URL(file.path, this.#base), { headers, cache: 'no-store' });
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
    if (response.status !== 206 && part.size) {
      part.clear(); // it gives no ranges, or has another file
      hasher.init();
    }
    requireSize(response, file);
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      part.write(chunk.value);
      hasher.update(chunk.value);
      if (part.size > file.bytes) throw sizeError(file, `more than ${file.bytes}`);
      tell(part.size);
    }
  }
}

const WHOLE = 'copy the bundle whole to the server, or export it anew';

/** @param {import('./types.js').Chain | import('./types.js').TokenizerEntry} entry */
export function filesOf(entry) {
  return 'graphs' in entry ? entry.graphs.flatMap((graph) => graph.files) : entry.files;
}

/** @param {BundleFile[]} files */
function sumOf(files) {
  return files.reduce((sum, file) => sum + file.bytes, 0);
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

/**
 * @param {(received: number) => void} tell
 * @returns {(received: number) => void}
 */
function throttled(tell) {
  let last = 0;
  return (received) => {
    if (performance.now() - last < REPORT_MS) return;
    last = performance.now();
    tell(received);
  };
}
