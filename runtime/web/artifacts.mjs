// A bundle's files: from the store where it has them whole, else fetched, hashed on the way, and kept.
import { complete } from './download.mjs';
import { TurboError, firstLine } from './errors.mjs';

const REPORT_MS = 100;
const CHUNK = 1 << 22; // bytes of a stored file that are read at a time

/** @typedef {import('./types.js').BundleFile} BundleFile */
/** @typedef {import('./types.js').Chain | import('./types.js').Tokenizer} Entry */
/** @typedef {{digest: () => string, update: (chunk: Uint8Array) => unknown, init: () => unknown}} Hasher */

export class Artifacts {
  #base;
  #store;
  #named;
  #newHasher;
  #verified;
  /** @type {import('./types.js').OnEvent} */
  report = () => {};
  /** Told the sha256 of each file that is known to be stored right from now on. @type {(sha256: string) => void} */
  onVerified = () => {};

  /**
   * @param {string} base URL of the bundle's folder, ending in a slash
   * @param {import('./types.js').Manifest} manifest
   * @param {import('./store.mjs').DiskStore | import('./store.mjs').MemoryStore} store
   * @param {() => Promise<Hasher>} newHasher a sha256 that takes chunk by chunk: WebCrypto's wants all at once
   * @param {Iterable<string>} [verified] sha256 of stored files that were hashed in this visit already
   */
  constructor(base, manifest, store, newHasher, verified = []) {
    this.#base = base;
    this.#store = store;
    this.#newHasher = newHasher;
    this.#verified = new Set(verified);
    this.#named = [...Object.values(manifest.components), ...Object.values(manifest.tokenizers)].flatMap(filesOf);
  }

  /**
   * Store all files of `entries` that are not stored, one after another, and hash those that are.
   *
   * @param {Record<string, Entry>} entries by name
   */
  async fetch(entries) {
    for (const [name, entry] of Object.entries(entries)) {
      const files = filesOf(entry);
      const total = sumOf(files);
      let done = 0;
      for (const file of files) {
        const before = done;
        const tell = (/** @type {number} */ received, /** @type {boolean} */ cached) =>
          this.report({ kind: 'download', name, file: file.path, received: before + received, total, cached });
        const { cached } = await this.#obtain(file, throttled(tell));
        done += file.bytes;
        tell(file.bytes, cached);
      }
    }
  }

  /**
   * The files of `entries` that are not stored.
   *
   * @param {Record<string, Entry>} entries by name
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
    return (await this.#obtain(file, () => {})).blob;
  }

  /**
   * The file's bytes, verified, and whether they were stored already.
   *
   * @param {BundleFile} file
   * @param {(received: number, cached: boolean) => void} tell
   * @returns {Promise<{blob: Blob, cached: boolean}>}
   */
  async #obtain(file, tell) {
    const known = this.#verified.has(file.sha256) ? await this.#store.get(file) : null;
    if (known) return { blob: known, cached: true };
    return this.#store.alone(file, async () => {
      const stored = await this.#intact(file, (received) => tell(received, true));
      const blob = stored ?? (await this.#download(file, (received) => tell(received, false)));
      this.#verified.add(file.sha256);
      this.onVerified(file.sha256);
      return { blob, cached: Boolean(stored) };
    });
  }

  /**
   * The stored file where its bytes are those of the manifest; it is removed where they are not.
   *
   * @param {BundleFile} file
   * @param {(read: number) => void} tell
   */
  async #intact(file, tell) {
    const stored = await this.#store.get(file);
    if (stored && (this.#verified.has(file.sha256) || (await this.#digest(stored, tell)) === file.sha256))
      return stored;
    await this.#store.remove(file);
    return null;
  }

  /**
   * The sha256 of `blob`; null where it cannot be read to its end.
   *
   * @param {Blob} blob
   * @param {(read: number) => void} tell
   */
  async #digest(blob, tell) {
    const hasher = await this.#newHasher();
    hasher.init();
    const read = (/** @type {number} */ at) => blob.slice(at, at + CHUNK).arrayBuffer();
    try {
      let next = read(0);
      for (let at = 0; at < blob.size; at += CHUNK) {
        const chunk = await next;
        next = read(at + CHUNK); // while this one is hashed
        hasher.update(new Uint8Array(chunk));
        tell(at + chunk.byteLength);
      }
      await next;
      return hasher.digest();
    } catch {
      return null;
    }
  }

  /**
   * The file, fetched and kept, with what other bundles left removed where room is short.
   *
   * @param {BundleFile} file
   * @param {(received: number) => void} tell
   * @returns {Promise<Blob>}
   */
  async #download(file, tell) {
    const kept = await this.#kept(file, tell);
    if (kept) return kept;
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
  }

  /**
   * The file, fetched and kept; null where there is no room for it.
   *
   * @param {BundleFile} file
   * @param {(received: number) => void} tell
   */
  async #kept(file, tell) {
    /** @type {import('./store.mjs').Part | null} */
    let part = null;
    try {
      part = await this.#store.part(file);
      await complete(file, new URL(file.path, this.#base), part, await this.#newHasher(), tell);
      return await part.keep();
    } catch (error) {
      const full = /** @type {Error} */ (error).name === 'QuotaExceededError';
      if (full || (error instanceof TurboError && error.code === 'integrity')) part?.clear();
      if (full) return null;
      if (error instanceof TurboError) throw error;
      const wrong = `this browser cannot keep ${file.path} (${firstLine(error)})`;
      throw new TurboError('quota', wrong, 'close its other tabs, or open with { cache: false }', file.path);
    } finally {
      await part?.close();
    }
  }
}

/** @param {Entry} entry */
export function filesOf(entry) {
  return 'graphs' in entry ? entry.graphs.flatMap((graph) => graph.files) : entry.files;
}

/** @param {BundleFile[]} files */
function sumOf(files) {
  return files.reduce((sum, file) => sum + file.bytes, 0);
}

/**
 * @param {(received: number, cached: boolean) => void} tell
 * @returns {(received: number, cached: boolean) => void}
 */
function throttled(tell) {
  let last = 0;
  return (received, cached) => {
    if (performance.now() - last < REPORT_MS) return;
    last = performance.now();
    tell(received, cached);
  };
}
