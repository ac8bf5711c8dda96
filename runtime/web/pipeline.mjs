// TurboPipeline, the object of a page. A worker does the work, and is replaced after a failure.
import { DEVICES, offers } from './devices.mjs';
import { TurboError } from './errors.mjs';
import { clearStore } from './store.mjs';

const LIMIT_S = 600;
const HARMED = ['build', 'run', 'lost', 'late', 'aborted', 'internal']; // after these errors the worker is replaced

/** sha256 of stored files that were verified in this visit, for later workers too. @type {Set<string>} */
const verified = new Set();

/**
 * A request to the worker that has no answer yet.
 *
 * @typedef {object} Call
 * @property {(value: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {import('./types.js').OnEvent | undefined} onEvent
 * @property {number} timer
 */

/**
 * A message of the worker.
 *
 * @typedef {object} Message
 * @property {number} [id] of the call
 * @property {import('./types.js').TurboEvent} [event]
 * @property {unknown} [value]
 * @property {import('./types.js').ErrorTold} [error]
 * @property {string} [lost]
 * @property {string} [verified] sha256 of a stored file that was verified
 */

export class TurboPipeline {
  #options;
  #limit;
  /** @type {Worker | null} */
  #worker = null;
  /** @type {Call | null} */
  #call = null;
  #calls = 0;
  /** @type {{manifest: import('./types.js').Manifest, choice: import('./types.js').Choice}} */
  #bundle = /** @type {any} */ (null); // open() sets it before it returns the pipeline

  /**
   * @param {Omit<import('./types.js').WorkerOptions, 'verified'>} options
   * @param {number} limit
   * @private
   */
  constructor(options, limit) {
    this.#options = options;
    this.#limit = limit;
  }

  /**
   * @param {string | URL} url
   * @param {import('./types.js').OpenOptions} [options]
   */
  static async open(url, { device = DEVICES, cache = true, keepBytes, limit = LIMIT_S, libraries = {} } = {}) {
    const base = new URL(url, document.baseURI);
    if (!base.pathname.endsWith('/')) base.pathname += '/';
    const devices = typeof device === 'string' ? [device] : device;
    const resolvedLibraries = {
      ort: resolved('onnxruntime-web/webgpu'),
      tokenizers: resolved('@huggingface/tokenizers'),
      hash: resolved('hash-wasm'),
    };
    const options = { url: base.href, devices, cache, keepBytes, libraries: { ...resolvedLibraries, ...libraries } };
    const pipeline = new TurboPipeline(options, limit);
    await pipeline.#open();
    return pipeline;
  }

  /** @param {string} [precision] */
  static devices(precision = 'fp16') {
    return offers(precision);
  }

  static clearCache() {
    return clearStore();
  }

  get manifest() {
    return this.#bundle.manifest;
  }

  get choice() {
    return this.#bundle.choice;
  }

  /** @param {{fromImage?: boolean}} [options] */
  async lacking({ fromImage = false } = {}) {
    return /** @type {Promise<number>} */ (this.#request('lacking', { fromImage }, []));
  }

  /** @param {{fromImage?: boolean, onEvent?: import('./types.js').OnEvent, signal?: AbortSignal}} [options] */
  async prepare({ fromImage = false, onEvent, signal } = {}) {
    await this.#request('prepare', { fromImage }, [], onEvent, signal);
  }

  /**
   * @param {import('./types.js').DrawRequest} request
   * @returns {Promise<import('./types.js').Drawn>}
   */
  async draw({
    prompt,
    steps = 1,
    seed = 0,
    image,
    strength = 0.5,
    samplePosterior,
    previews = false,
    onEvent,
    signal,
  }) {
    const bitmap = image ? await bitmapOf(image) : null;
    const request = { prompt, steps, seed, bitmap, strength, samplePosterior, previews };
    return this.#request('draw', request, bitmap ? [bitmap] : [], onEvent, signal);
  }

  release() {
    this.#end(new TurboError('aborted', 'the pipeline was released'));
  }

  async #open() {
    this.#start();
    this.#bundle = await this.#send('open', { ...this.#options, verified: [...verified] }, []);
  }

  /**
   * @param {string} method
   * @param {unknown} argument
   * @param {Transferable[]} transfer
   * @param {import('./types.js').OnEvent} [onEvent]
   * @param {AbortSignal} [signal]
   */
  async #request(method, argument, transfer, onEvent, signal) {
    if (this.#call)
      throw new TurboError('request', 'this pipeline is at work', 'wait for it, or abort it by its signal');
    const aborted = () => this.#end(new TurboError('aborted', 'stopped before the end'));
    if (signal?.aborted) throw new TurboError('aborted', 'stopped before the end');
    signal?.addEventListener('abort', aborted);
    try {
      if (!this.#worker) await this.#open();
      return await this.#send(method, argument, transfer, onEvent);
    } finally {
      signal?.removeEventListener('abort', aborted);
    }
  }

  #start() {
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }) => this.#receive(data);
    worker.onerror = ({ message }) => this.#lost(message ?? 'it does not load');
    this.#worker = worker;
  }

  /**
   * @param {string} method
   * @param {unknown} argument
   * @param {Transferable[]} transfer
   * @param {import('./types.js').OnEvent} [onEvent]
   * @returns {Promise<any>}
   */
  #send(method, argument, transfer, onEvent) {
    return new Promise((resolve, reject) => {
      this.#call = { resolve, reject, onEvent, timer: 0 };
      this.#restartTimer();
      this.#worker?.postMessage({ id: ++this.#calls, method, argument }, transfer);
    });
  }

  /** Each message of the worker restarts the timer, because a hanging worker sends none. */
  #restartTimer() {
    if (!this.#call) return;
    clearTimeout(this.#call.timer);
    const late = () =>
      this.#end(new TurboError('late', `nothing was heard of the device for ${this.#limit} s`, 'try another device'));
    this.#call.timer = window.setTimeout(late, this.#limit * 1000);
  }

  /** @param {Message} message */
  #receive({ id, event, value, error, lost, verified: sha256 }) {
    if (sha256 !== undefined) verified.add(sha256);
    if (lost !== undefined) this.#lost(lost);
    if (id !== this.#calls || !this.#call) return;
    this.#restartTimer();
    if (event) return this.#call.onEvent?.(event);
    if (error) return this.#failed(TurboError.fromMessage(error));
    const { resolve } = this.#done();
    resolve(value);
  }

  /** @param {TurboError} error */
  #failed(error) {
    if (HARMED.includes(error.code)) this.#end(error);
    else this.#done().reject(error);
  }

  /** @param {string} why */
  #lost(why) {
    this.#end(new TurboError('lost', `the device was lost (${why})`, 'draw again: everything is started anew'));
  }

  /** @param {TurboError} error rejects the current call */
  #end(error) {
    this.#worker?.terminate();
    this.#worker = null;
    if (this.#call) this.#done().reject(error);
  }

  /** @returns {Call} the completed call */
  #done() {
    const call = /** @type {Call} */ (this.#call);
    clearTimeout(call.timer);
    this.#call = null;
    return call;
  }
}

/**
 * The URL of a name in the page's import map; undefined where there is none, as with a bundler.
 *
 * @param {string} name
 */
function resolved(name) {
  try {
    return import.meta.resolve(name);
  } catch {
    return undefined;
  }
}

/**
 * Decode a picture: rotated by its EXIF tag, with the colours of the file unchanged.
 *
 * @param {ImageBitmapSource} image
 */
async function bitmapOf(image) {
  try {
    return await createImageBitmap(image, {
      imageOrientation: 'from-image',
      premultiplyAlpha: 'none',
      colorSpaceConversion: 'none',
    });
  } catch {
    throw new TurboError('request', 'this is no picture that the browser can read', 'give a PNG, JPEG or WebP file');
  }
}
