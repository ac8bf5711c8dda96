// Stores the files of bundles between visits in the origin's private file system (OPFS), by sha256.
//
// A file gets its sha256 as name only after it was hashed. The disk can damage it later, so each visit hashes it once
// more. An interrupted download is stored as <sha256>.part, and is resumed.
import { TurboError } from './errors.mjs';

const FOLDER = 'turbo-webnn';
const INSECURE = 'open it over https or on http://localhost, or open the pipeline with { cache: false }';

/**
 * A file that is not complete yet.
 *
 * @typedef {object} Part
 * @property {number} size the number of received bytes
 * @property {() => AsyncIterable<Uint8Array>} read reads the received bytes
 * @property {(chunk: Uint8Array) => void} write appends a chunk; throws QuotaExceededError where there is no space
 * @property {() => void} clear removes the received bytes
 * @property {() => Promise<Blob>} keep gives the complete and verified file its final name
 * @property {() => Promise<void>} close closes the file; the received bytes stay
 */

/** Files on disk. It works only in a worker, because pages cannot write files in place. */
export class DiskStore {
  #folder;

  /** @param {FileSystemDirectoryHandle} folder */
  constructor(folder) {
    this.#folder = folder;
  }

  static async open() {
    if (!globalThis.isSecureContext) {
      throw new TurboError('quota', 'the browser keeps no files for a page that is not secure', INSECURE);
    }
    try {
      const root = await navigator.storage.getDirectory();
      return new DiskStore(await root.getDirectoryHandle(FOLDER, { create: true }));
    } catch (error) {
      const wrong = `this browser keeps no files for this page (${/** @type {Error} */ (error).message})`;
      throw new TurboError('quota', wrong, 'leave the private window, or open with { cache: false }');
    }
  }

  /**
   * The stored file, of the right size, or null where there is none.
   *
   * @param {import('./types.js').BundleFile} file
   * @returns {Promise<Blob | null>}
   */
  async get({ sha256, bytes }) {
    try {
      const stored = await (await this.#folder.getFileHandle(sha256)).getFile();
      return stored.size === bytes ? stored : null;
    } catch {
      return null; // there is no file, or it cannot be read
    }
  }

  /**
   * Remove the stored file.
   *
   * @param {import('./types.js').BundleFile} file
   */
  async remove({ sha256 }) {
    // a missing file is no error; where another page has the file open, keep() fails later
    await this.#folder.removeEntry(sha256, { recursive: true }).catch(() => {});
  }

  /**
   * Open the received part of a file, for appending.
   *
   * @param {import('./types.js').BundleFile} file
   * @returns {Promise<Part>}
   */
  async part({ sha256 }) {
    const handle = await this.#folder.getFileHandle(`${sha256}.part`, { create: true });
    const access = await handle.createSyncAccessHandle();
    let size = access.getSize();
    const folder = this.#folder;
    const part = {
      get size() {
        return size;
      },
      async *read() {
        const chunk = new Uint8Array(1 << 22);
        for (let at = 0; at < size;) {
          const count = access.read(chunk, { at });
          if (!count) throw new DOMException('it ends early', 'NotReadableError');
          yield chunk.subarray(0, count);
          at += count;
        }
      },
      write(/** @type {Uint8Array} */ chunk) {
        const written = access.write(/** @type {Uint8Array<ArrayBuffer>} */ (chunk), { at: size });
        // where the disk is full, some browsers throw, and Chromium returns another number of bytes
        if (written !== chunk.byteLength) throw new DOMException('the disk is full', 'QuotaExceededError');
        size += written;
      },
      clear() {
        access.truncate(0);
        size = 0;
      },
      async keep() {
        access.flush();
        access.close();
        await handle.move(sha256);
        return handle.getFile();
      },
      close: async () => {
        access.close();
        if (size === 0) await folder.removeEntry(handle.name).catch(() => {}); // an empty file left behind is harmless
      },
    };
    return part;
  }

  /**
   * Run `work` while no other page works on that file. A second page waits, and then finds the stored file.
   *
   * @template T
   * @param {import('./types.js').BundleFile} file
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  alone({ sha256 }, work) {
    return navigator.locks.request(`${FOLDER} ${sha256}`, work);
  }

  /**
   * Remove what no file of `wanted` needs.
   *
   * @param {Iterable<import('./types.js').BundleFile>} wanted
   * @returns {Promise<boolean>} whether there was anything
   */
  async prune(wanted) {
    const needed = new Set([...wanted].map((file) => file.sha256));
    const spare = [];
    for await (const name of this.#folder.keys()) if (!needed.has(name.replace('.part', ''))) spare.push(name);
    let gone = 0;
    for (const name of spare) {
      // a file that another page is writing cannot be removed
      await this.#folder.removeEntry(name).then(
        () => gone++,
        () => {},
      );
    }
    return gone > 0;
  }
}

/** Files in memory, which last as long as the pipeline. For browsers and pages without a disk store. */
export class MemoryStore {
  /** @type {Map<string, Blob>} */
  #files = new Map();

  /** @param {import('./types.js').BundleFile} file */
  async get({ sha256 }) {
    return this.#files.get(sha256) ?? null;
  }

  /** @param {import('./types.js').BundleFile} file */
  async remove({ sha256 }) {
    this.#files.delete(sha256);
  }

  /**
   * @param {import('./types.js').BundleFile} file
   * @returns {Promise<Part>}
   */
  async part({ sha256 }) {
    /** @type {Blob[]} */
    let chunks = [];
    let size = 0;
    const files = this.#files;
    return {
      get size() {
        return size;
      },
      async *read() {}, // a part in memory is always new
      write(chunk) {
        chunks.push(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (chunk)]));
        size += chunk.byteLength;
      },
      clear() {
        chunks = [];
        size = 0;
      },
      async keep() {
        const whole = new Blob(chunks);
        files.set(sha256, whole);
        return whole;
      },
      async close() {},
    };
  }

  /**
   * @template T
   * @param {import('./types.js').BundleFile} _file
   * @param {() => Promise<T>} work
   */
  alone(_file, work) {
    return work(); // other pages cannot access these files
  }

  async prune() {
    return false;
  }
}

/** Remove the stored files of all bundles of this origin. */
export async function clearStore() {
  const root = await navigator.storage.getDirectory();
  await root.removeEntry(FOLDER, { recursive: true }).catch((error) => {
    if (error.name !== 'NotFoundError') throw error;
  });
}
