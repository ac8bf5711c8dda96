// The files of a bundle. They come from the store, or are downloaded, hashed during the download, and stored.
import { complete } from './download.mjs';
import { TurboError, firstLine } from './errors.mjs';

const REPORT_MS = 100;
const CHUNK = 1 << 22; // bytes per read of a stored file

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
  /** Called with the sha256 of each file after it is stored and verified. @type {(sha256: string) => void} */
  onVerified = () => {};

  /**
   * @param {string} base URL of the bundle's folder, ending in a slash
   * @param {import('./types.js').Manifest} manifest
   * @param {import('./store.mjs').DiskStore | import('./store.mjs').MemoryStore} store
   * @param {() => Promise<Hasher>} newHasher makes an incremental sha256, which WebCrypto does not have
   * @param {Iterable<string>} [verified] sha256 of stored files that were already hashed in this visit
   */
  constructor(base, manifest, store, newHasher, verified = []) {
    this.#base = base;
    this.#store = store;
    this.#newHasher = newHasher;
    this.#verified = new Set(verified);
    this.#named = [...Object.values(manifest.components), ...Object.values(manifest.tokenizers)].flatMap(filesOf);
  }

  /**
   * Download the missing files of `entries` one after another, and hash the stored ones.
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
        const report = (/** @type {number} */ received, /** @type {boolean} */ cached) =>
          this.report({ kind: 'download', name, file: file.path, received: before + received, total, cached });
        const { cached } = await this.#obtain(file, throttled(report));
        done += file.bytes;
        report(file.bytes, cached);
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
   * The verified bytes of a file.
   *
   * @param {BundleFile} file
   */
  async get(file) {
    return (await this.#obtain(file, () => {})).blob;
  }

  /**
   * The verified bytes of a file, and whether they were stored before.
   *
   * @param {BundleFile} file
   * @param {(received: number, cached: boolean) => void} report
   * @returns {Promise<{blob: Blob, cached: boolean}>}
   */
  async #obtain(file, report) {
    const verified = this.#verified.has(file.sha256) ? await this.#store.get(file) : null;
    if (verified) return { blob: verified, cached: true };
    return this.#store.alone(file, async () => {
      const stored = await this.#intact(file, (received) => report(received, true));
      const blob = stored ?? (await this.#download(file, (received) => report(received, false)));
      this.#verified.add(file.sha256);
      this.onVerified(file.sha256);
      return { blob, cached: Boolean(stored) };
    });
  }

  /**
   * The stored file where its sha256 is that of the manifest. Otherwise the stored file is removed.
   *
   * @param {BundleFile} file
   * @param {(read: number) => void} report
   */
  async #intact(file, report) {
    const stored = await this.#store.get(file);
    if (stored && (this.#verified.has(file.sha256) || (await this.#digest(stored, report)) === file.sha256))
      return stored;
    await this.#store.remove(file);
    return null;
  }

  /**
   * The sha256 of `blob`; null where it cannot be read completely.
   *
   * @param {Blob} blob
   * @param {(read: number) => void} report
   */
  async #digest(blob, report) {
    const hasher = await this.#newHasher();
    hasher.init();
    const read = (/** @type {number} */ at) => blob.slice(at, at + CHUNK).arrayBuffer();
    try {
      let next = read(0);
      for (let at = 0; at < blob.size; at += CHUNK) {
        const chunk = await next;
        next = read(at + CHUNK); // reads while this chunk is hashed
        hasher.update(new Uint8Array(chunk));
        report(at + chunk.byteLength);
      }
      await next;
      return hasher.digest();
    } catch {
      return null;
    }
  }

  /**
   * Download and store the file. Where there is no space, files of other bundles are removed first.
   *
   * @param {BundleFile} file
   * @param {(received: number) => void} report
   * @returns {Promise<Blob>}
   */
  async #download(file, report) {
    const stored = await this.#tryDownload(file, report);
    if (stored) return stored;
    // the browser's estimate of free space is not reliable, so files of other bundles are removed only after a failure
    const retried = (await this.#store.prune(this.#named)) && (await this.#tryDownload(file, report));
    if (retried) return retried;
    const wrong = `this browser has no room for ${file.path} (${(file.bytes / 1e6).toFixed(1)} MB)`;
    throw new TurboError(
      'quota',
      wrong,
      'free some space, leave the private window, or open with { cache: false }',
      file.path,
    );
  }

  /**
   * Download and store the file; null where there is no space for it.
   *
   * @param {BundleFile} file
   * @param {(received: number) => void} report
   */
  async #tryDownload(file, report) {
    /** @type {import('./store.mjs').Part | null} */
    let part = null;
    try {
      part = await this.#store.part(file);
      await complete(file, new URL(file.path, this.#base), part, await this.#newHasher(), report);
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
 * @param {(received: number, cached: boolean) => void} report
 * @returns {(received: number, cached: boolean) => void}
 */
function throttled(report) {
  let last = 0;
  return (received, cached) => {
    if (performance.now() - last < REPORT_MS) return;
    last = performance.now();
    report(received, cached);
  };
}
