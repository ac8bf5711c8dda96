// Where a bundle's files are kept between visits: the origin's private file system (OPFS), by sha256.
//
// What is stored under its sha256 was hashed before it was given that name. A disk can damage it since, so that each
// visit hashes it once more. A download that was broken off is stored as <sha256>.part, and is taken up again.
import { TurboError } from './errors.mjs';

const FOLDER = 'turbo-webnn';
const INSECURE = 'open it over https or on http://localhost, or open the pipeline with { cache: false }';

/**
 * A file on its way.
 *
 * @typedef {object} Part
 * @property {number} size bytes that have come
 * @property {() => AsyncIterable<Uint8Array>} read those bytes
 * @property {(chunk: Uint8Array) => void} write what comes next; throws QuotaExceededError where there is no room
 * @property {() => void} clear begin anew
 * @property {() => Promise<Blob>} keep give it its name: it is whole and right
 * @property {() => Promise<void>} close let go of it; what has come stays
 */

/** Files on disk. Works in a worker only: writing in place is not offered to pages. */
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
      return null; // there is none, or none that can be read
    }
  }

  /**
   * Remove whatever is stored under the file's name.
   *
   * @param {import('./types.js').BundleFile} file
   */
  async remove({ sha256 }) {
    // where there is nothing that is well, and what another page holds makes keep() fail
    await this.#folder.removeEntry(sha256, { recursive: true }).catch(() => {});
  }

  /**
   * What has come of a file so far, to be written on.
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
        // where the disk is full some browsers throw; Chromium returns another number than was to be written
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
        if (size === 0) await folder.removeEntry(handle.name).catch(() => {}); // an empty one does no harm
      },
    };
    return part;
  }

  /**
   * What `work` gives while no other page works on that file: who comes second waits, and finds it.
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
      // what another page is writing now stays
      await this.#folder.removeEntry(name).then(
        () => gone++,
        () => {},
      );
    }
    return gone > 0;
  }
}

/** Files that last as long as the pipeline, for where a browser keeps none. */
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
      async *read() {}, // nothing is ever taken up again
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
    return work(); // no other page sees these
  }

  async prune() {
    return false;
  }
}

/** Give back all that any bundle of this origin keeps. */
export async function clearStore() {
  const root = await navigator.storage.getDirectory();
  await root.removeEntry(FOLDER, { recursive: true }).catch((error) => {
    if (error.name !== 'NotFoundError') throw error;
  });
}
