// The worker of a TurboPipeline. Its work does not block the page, and terminating it frees all its memory.
//
// It receives { id, method, argument }. It sends { id, event } during the work, then { id, value } or { id, error }. It
// sends { lost } after the device is lost, and { verified } with the sha256 of each stored file that was verified.
import { Artifacts } from './artifacts.mjs';
import { choose, offers, webnnType } from './devices.mjs';
import { Drawer } from './drawer.mjs';
import { TurboError } from './errors.mjs';
import { HostTensors } from './host_tensors.mjs';
import { readManifest } from './manifest.mjs';
import { Sessions } from './sessions.mjs';
import { DiskStore, MemoryStore } from './store.mjs';
import { WebnnTensors } from './webnn_tensors.mjs';

/** @typedef {typeof import('onnxruntime-web')} Ort */
/** @typedef {typeof import('@huggingface/tokenizers')} Tokenizers */
/** @typedef {typeof import('hash-wasm')} Hash */
/** @typedef {import('onnxruntime-web').InferenceSession.SessionOptions} SessionOptions */

// limits for the weights of loaded sessions; a page's process crashed at the fourth loaded graph of 504 MB
const PAGE_PROCESS_BYTES = 1e9;
const OTHER_PROCESS_BYTES = 4e9;

/** @type {Drawer | null} */
let drawer = null;

/** @type {Record<string, (argument: any, report: import('./types.js').OnEvent) => Promise<unknown>>} */
const methods = {
  /** @param {import('./types.js').WorkerOptions} options */
  async open(options) {
    const manifest = await readManifest(options.url);
    const choice = choose(options.devices, await offers(manifest.precision));
    drawer = await makeDrawer(manifest, choice.device, options);
    return { manifest, choice };
  },
  lacking: ({ fromImage }) => opened().lacking(fromImage),
  prepare: ({ fromImage }, report) => opened().prepare(fromImage, report),
  draw: (request, report) => opened().draw(request, report),
};

function opened() {
  if (!drawer) throw new TurboError('internal', 'the worker has no bundle yet');
  return drawer;
}

/**
 * @param {import('./types.js').Manifest} manifest
 * @param {import('./types.js').Device} device
 * @param {import('./types.js').WorkerOptions} options
 */
async function makeDrawer(manifest, device, { url, cache, keepBytes, libraries, verified }) {
  const store = cache ? await DiskStore.open() : new MemoryStore();
  const [ort, tokenizers, { createSHA256 }] = await importLibraries(libraries);
  const artifacts = new Artifacts(url, manifest, store, createSHA256, verified);
  artifacts.onVerified = (sha256) => postMessage({ verified: sha256 });
  const { tensors, options } = await makeTensors(ort, device);
  const limit = keepBytes ?? (isInPageProcess(device) ? PAGE_PROCESS_BYTES : OTHER_PROCESS_BYTES);
  const sessions = new Sessions(ort, options, manifest, artifacts, tensors, limit);
  return new Drawer(manifest, artifacts, sessions, tensors, tokenizers);
}

/**
 * Whether the weights of `device` are in the page's process. WebNN uses another process on Windows and macOS. On other
 * systems its back end is LiteRT, which uses the page's process for every device type, and does not report it.
 *
 * @param {import('./types.js').Device} device
 */
function isInPageProcess(device) {
  return device === 'wasm' || (device !== 'webgpu' && !/^(Win|Mac)/.test(navigator.platform));
}

/**
 * Import the libraries. Import maps do not apply to workers, so a page passes URLs. Bundlers resolve the names.
 *
 * @param {import('./types.js').Libraries} libraries
 * @returns {Promise<[Ort, Tokenizers, Hash]>}
 */
async function importLibraries({ ort, tokenizers, hash }) {
  return Promise.all([
    ort ? import(ort) : import('onnxruntime-web/webgpu'),
    tokenizers ? import(tokenizers) : import('@huggingface/tokenizers'),
    hash ? import(hash) : import('hash-wasm'),
  ]);
}

/**
 * Make the tensors of `device`, and the options of its sessions.
 *
 * @param {Ort} ort
 * @param {import('./types.js').Device} device
 * @returns {Promise<{tensors: WebnnTensors | HostTensors, options: SessionOptions}>}
 */
async function makeTensors(ort, device) {
  const deviceType = webnnType(device);
  if (!deviceType) {
    return {
      tensors: new HostTensors(ort),
      options: { executionProviders: [/** @type {'wasm' | 'webgpu'} */ (device)] },
    };
  }
  ort.env.wasm.numThreads = 1; // all nodes run on WebNN, so the CPU provider needs no threads
  const context = await navigator.ml.createContext({ deviceType });
  context.lost.then(({ message }) => postMessage({ lost: message }));
  const options = {
    executionProviders: [{ name: /** @type {const} */ ('webnn'), context: /** @type {any} */ (context), deviceType }],
    graphOptimizationLevel: /** @type {const} */ ('disabled'),
    extra: { session: { disable_cpu_ep_fallback: '1' } }, // session creation fails where a node would run on the CPU

  };
  return { tensors: new WebnnTensors(ort, context), options };
}

addEventListener('message', async ({ data: { id, method, argument } }) => {
  try {
    const value = await methods[method](argument, (event) => postMessage({ id, event }));
    postMessage({ id, value });
  } catch (error) {
    postMessage({ id, error: TurboError.toMessage(error) });
  }
});
