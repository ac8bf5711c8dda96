// node store_faults.mjs FAULT: one file is asked for while storage or server fail as FAULT says. What comes of it as JSON:
// { right, requests, left } with bytes by name of what is stored then, or { error: { code, message }, requests, left }.
import { createHash } from 'node:crypto';
import { Artifacts } from '../../runtime/web/artifacts.mjs';
import { DiskStore } from '../../runtime/web/store.mjs';

const failure = (name) => new DOMException(`it fails by ${name}`, name);

/** A folder of the origin's private file system, in memory; `locked` names files that another page writes. */
class Folder {
  files = new Map();
  locked = new Set();
  room = Infinity;

  async getFileHandle(name, { create = false } = {}) {
    if (!this.files.has(name)) {
      if (!create) throw failure('NotFoundError');
      if (this.room <= 0) throw failure('QuotaExceededError');
      this.files.set(name, new Uint8Array());
    }
    return new Handle(this, name);
  }

  async removeEntry(name) {
    if (this.locked.has(name)) throw failure('NoModificationAllowedError');
    if (!this.files.delete(name)) throw failure('NotFoundError');
  }

  async *keys() {
    yield* [...this.files.keys()];
  }
}

class Handle {
  static read = (bytes, chunk, at) => {
    const part = bytes.subarray(at, at + chunk.length);
    chunk.set(part);
    return part.length;
  };
  static slice = (blob) => blob;

  constructor(folder, name) {
    this.folder = folder;
    this.name = name;
  }

  async getFile() {
    return Handle.slice(new Blob([this.folder.files.get(this.name)]));
  }

  async createSyncAccessHandle() {
    const { files, locked, room } = this.folder;
    if (locked.has(this.name)) throw failure('NoModificationAllowedError');
    const bytes = () => files.get(this.name);
    return {
      getSize: () => bytes().length,
      read: (chunk, { at }) => Handle.read(bytes(), chunk, at),
      write: (chunk, { at }) => {
        const fits = chunk.subarray(0, Math.max(0, room - at));
        files.set(this.name, Buffer.concat([bytes().subarray(0, at), fits]));
        return fits.length;
      },
      truncate: (size) => files.set(this.name, bytes().slice(0, size)),
      flush: () => {},
      close: () => {},
    };
  }

  async move(name) {
    if (this.folder.locked.has(name)) throw failure('NoModificationAllowedError');
    this.folder.files.set(name, this.folder.files.get(this.name));
    this.folder.files.delete(this.name);
    this.name = name;
  }
}

const sha256Of = (bytes) => createHash('sha256').update(bytes).digest('hex');
const data = new Uint8Array(300_000).map((_, i) => i * 7);
const file = { path: 'unet/model.onnx.data', bytes: data.length, sha256: sha256Of(data) };
const part = `${file.sha256}.part`;
const folder = new Folder();
let requests = 0;

/** The file from `begin`, told as from `said`; without `begin` the whole of it. */
function response(begin, said = begin) {
  if (begin === undefined) return new Response(data);
  const headers = { 'Content-Range': `bytes ${said}-${data.length - 1}/${data.length}` };
  return new Response(data.slice(begin), { status: 206, headers });
}
let answer = response;

const store = (name, bytes) => folder.files.set(name, bytes);
const damaged = data.with(1234, 0);
const faults = {
  nothing: () => store(file.sha256, data),
  damaged: () => store(file.sha256, damaged),
  zeroed: () => store(file.sha256, new Uint8Array(data.length)),
  shorter: () => store(file.sha256, data.slice(0, 1000)),
  longer: () => store(file.sha256, new Uint8Array(data.length + 1)),
  unreadable() {
    store(file.sha256, data);
    const slice = () => ({ arrayBuffer: () => Promise.reject(failure('NotReadableError')) });
    Handle.slice = (blob) => (blob.size === data.length ? Object.assign(blob, { slice }) : blob);
  },
  'damaged, offline'() {
    store(file.sha256, damaged);
    answer = () => Promise.reject(new TypeError('Failed to fetch'));
  },
  'damaged, no room'() {
    store(file.sha256, damaged);
    folder.room = 100_000;
  },
  'damaged, locked'() {
    store(file.sha256, damaged);
    folder.locked.add(file.sha256);
  },
  'part damaged': () => store(part, new Uint8Array(1000)),
  'part longer': () => store(part, new Uint8Array(data.length + 1)),
  'part without an end'() {
    store(part, data.slice(0, 1000));
    Handle.read = () => 0;
  },
  'part unreadable'() {
    store(part, data.slice(0, 1000));
    Handle.read = () => {
      throw failure('NotReadableError');
    };
  },
  'part locked'() {
    store(part, data.slice(0, 1000));
    folder.locked.add(part);
  },
  'no room for a name': () => (folder.room = 0),
  'another offset'() {
    store(part, data.slice(0, 1000));
    answer = (begin) => response(begin && begin - 500);
  },
  'a byte a connection': () => (answer = (begin = 0) => new Response(data.slice(begin, begin + 1), { status: 206 })),
  'wrong bytes': () => (answer = () => new Response(damaged)),
};

Object.defineProperty(globalThis, 'navigator', { value: { locks: { request: (_name, work) => work() } } });
globalThis.fetch = async (_url, { headers }) => {
  requests++;
  return answer(headers && Number(headers.Range.match(/\d+/)[0]));
};
globalThis.setTimeout = (work) => queueMicrotask(work); // no pause between tries
const newHasher = async () => {
  let hash = createHash('sha256');
  return {
    init: () => (hash = createHash('sha256')),
    update: (chunk) => hash.update(chunk),
    digest: () => hash.digest('hex'),
  };
};

faults[process.argv[2]]();
const manifest = { components: { unet: { graphs: [{ files: [file] }] } }, tokenizers: {} };
const artifacts = new Artifacts('http://localhost/bundle/', manifest, new DiskStore(folder), newHasher);
const told = {};
try {
  told.right = sha256Of(new Uint8Array(await (await artifacts.get(file)).arrayBuffer())) === file.sha256;
} catch ({ name, code, message }) {
  told.error = { name, code, message };
}
const stored = [...folder.files].map(([name, { length }]) => [name.replace(file.sha256, 'file'), length]);
process.stdout.write(JSON.stringify({ ...told, requests, left: Object.fromEntries(stored) }));
