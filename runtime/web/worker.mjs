// The worker that a TurboPipeline draws in: nothing that it does holds up the page, and ending it gives all back.
//
// { id, method, argument } in; { id, event } while it works, then { id, value } or { id, error } out; { lost } where
// the device has gone; { verified } with the sha256 of each file that is known to be stored right.
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

const IN_THE_PAGE = 1e9; // three graphs of 504 MB were held at once in a page's process, and the fourth felled it
const ELSEWHERE = 4e9;

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
  const [ort, tokenizers, { createSHA256 }] = await imported(libraries);
  const artifacts = new Artifacts(url, manifest, store, createSHA256, verified);
  artifacts.onVerified = (sha256) => postMessage({ verified: sha256 });
  const { tensors, options } = await runner(ort, device);
  const keep = keepBytes ?? (inThePage(device) ? IN_THE_PAGE : ELSEWHERE);
  const sessions = new Sessions(ort, options, manifest, artifacts, tensors, keep);
  return new Drawer(manifest, artifacts, sessions, tensors, tokenizers);
}

/**
 * Whether the weights of `device` lie in the page's own process. WebNN has one elsewhere on Windows and macOS; other
 * systems' back end, LiteRT, does not, whatever the device type, and does not say.
 *
 * @param {import('./types.js').Device} device
 */
function inThePage(device) {
  return device === 'wasm' || (device !== 'webgpu' && !/^(Win|Mac)/.test(navigator.platform));
}

/**
 * Import maps do not reach workers, so that a page gives URLs; bundlers find the names.
 *
 * @param {import('./types.js').Libraries} libraries
 * @returns {Promise<[Ort, Tokenizers, Hash]>}
 */
async function imported({ ort, tokenizers, hash }) {
  return Promise.all([
    ort ? import(ort) : import('onnxruntime-web/webgpu'),
    tokenizers ? import(tokenizers) : import('@huggingface/tokenizers'),
    hash ? import(hash) : import('hash-wasm'),
  ]);
}

/**
 * The tensors of `device`, and what a session needs to run on it.
 *
 * @param {Ort} ort
 * @param {import('./types.js').Device} device
 * @returns {Promise<{tensors: WebnnTensors | HostTensors, options: SessionOptions}>}
 */
async function runner(ort, device) {
  const deviceType = webnnType(device);
  if (!deviceType) {
    return {
      tensors: new HostTensors(ort),
      options: { executionProviders: [/** @type {'wasm' | 'webgpu'} */ (device)] },
    };
  }
  ort.env.wasm.numThreads = 1; // its own arithmetic is not asked for
  const context = await navigator.ml.createContext({ deviceType });
  context.lost.then(({ message }) => postMessage({ lost: message }));
  const options = {
    executionProviders: [{ name: /** @type {const} */ ('webnn'), context: /** @type {any} */ (context), deviceType }],
    graphOptimizationLevel: /** @type {const} */ ('disabled'),
    extra: { session: { disable_cpu_ep_fallback: '1' } }, // no node leaves WebNN unheard
  };
  return { tensors: new WebnnTensors(ort, context), options };
}

addEventListener('message', async ({ data: { id, method, argument } }) => {
  try {
    const value = await methods[method](argument, (event) => postMessage({ id, event }));
    postMessage({ id, value });
  } catch (error) {
    postMessage({ id, error: TurboError.told(error) });
  }
});
