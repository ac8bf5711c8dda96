// onnxruntime sessions of a bundle's components. They are created one after another, and released to limit memory.
import { TurboError, firstLine } from './errors.mjs';

/** @typedef {import('onnxruntime-web').Tensor} Tensor */
/** @typedef {import('./types.js').Graph} Graph */
/** @typedef {import('onnxruntime-web').InferenceSession} InferenceSession */
/** @typedef {import('onnxruntime-web').InferenceSession.SessionOptions} SessionOptions */
/** @typedef {{session: InferenceSession, component: string, bytes: number, used: number}} LoadedSession */

export class Sessions {
  #ort;
  #options;
  #manifest;
  #artifacts;
  #tensors;
  #keepBytes;
  /** Loaded sessions by graph. @type {Map<Graph, LoadedSession>} */
  #loaded = new Map();
  #clock = 0;
  /** Seconds by component. @type {Record<string, import('./types.js').Timing>} */
  timings = {};
  /** @type {import('./types.js').OnEvent} */
  report = () => {};

  /**
   * @param {typeof import('onnxruntime-web')} ort
   * @param {SessionOptions} options the execution provider and its options
   * @param {import('./types.js').Manifest} manifest
   * @param {import('./artifacts.mjs').Artifacts} artifacts
   * @param {import('./webnn_tensors.mjs').WebnnTensors | import('./host_tensors.mjs').HostTensors} tensors
   * @param {number} keepBytes the limit for the weights of loaded sessions; the running graph is always loaded
   */
  constructor(ort, options, manifest, artifacts, tensors, keepBytes) {
    this.#ort = ort;
    this.#options = options;
    this.#manifest = manifest;
    this.#artifacts = artifacts;
    this.#tensors = tensors;
    this.#keepBytes = keepBytes;
  }

  /**
   * Run the component, and return its outputs by name. Its graphs run one after another. Each reads inputs of the
   * component and outputs of earlier graphs.
   *
   * @param {string} component
   * @param {Record<string, Tensor>} inputs
   * @returns {Promise<Record<string, Tensor>>}
   */
  async run(component, inputs) {
    const chain = this.#manifest.components[component];
    /** @type {Record<string, Tensor>} */
    const computed = {};
    for (const [index, graph] of chain.graphs.entries()) {
      const session = await this.#session(component, graph, index);
      const startTime = performance.now();
      const values = { ...inputs, ...computed };
      const feeds = Object.fromEntries(graph.inputs.map(({ name }) => [name, values[name]]));
      const outputs = await this.#runGraph(session, feeds, graph);
      await this.#requireFinite(component, outputs);
      Object.assign(computed, outputs);
      this.#timing(component).run += (performance.now() - startTime) / 1000;
    }
    const outputs = chain.outputs.map(({ name }) => name);
    this.#tensors.release(
      ...Object.keys(computed)
        .filter((name) => !outputs.includes(name))
        .map((name) => computed[name]),
    );
    return Object.fromEntries(outputs.map((name) => [name, computed[name]]));
  }

  /** Free the memory of all sessions. */
  async release() {
    for (const graph of [...this.#loaded.keys()]) await this.#drop(graph);
  }

  /**
   * @param {InferenceSession} session
   * @param {Record<string, Tensor>} feeds
   * @param {Graph} graph
   */
  async #runGraph(session, feeds, graph) {
    const fetches = await Promise.all(graph.outputs.map(async (spec) => [spec.name, await this.#tensors.empty(spec)]));
    try {
      const outputs = await session.run(feeds, Object.fromEntries(fetches));
      return /** @type {Record<string, Tensor>} */ (outputs);
    } catch (error) {
      throw new TurboError(
        'run',
        `${graph.files[0].path} fails (${firstLine(error)})`,
        'try another device',
        graph.files[0].path,
      );
    }
  }

  /**
   * Require finite outputs. This also waits for the graph, so that its whole work is timed.
   *
   * @param {string} component
   * @param {Record<string, Tensor>} outputs
   */
  async #requireFinite(component, outputs) {
    const floats = Object.values(outputs).filter((tensor) => tensor.type.startsWith('float'));
    const last = floats[floats.length - 1];
    if (!last || (await this.#tensors.finite(last))) return;
    const wrong = `${component} gave numbers that are not finite in ${this.#manifest.precision}`;
    throw new TurboError('numbers', wrong, 'draw on another device, or export with --precision fp32');
  }

  /**
   * @param {string} component
   * @param {Graph} graph
   * @param {number} index of the graph in its chain
   */
  async #session(component, graph, index) {
    const loaded = this.#loaded.get(graph);
    if (loaded) {
      loaded.used = ++this.#clock;
      return loaded.session;
    }
    const bytes = graph.files.reduce((sum, file) => sum + file.bytes, 0);
    await this.#makeRoom(component, bytes);
    const of = this.#manifest.components[component].graphs.length;
    this.report({ kind: 'load', name: component, graph: index + 1, of, bytes });
    const startTime = performance.now();
    const session = await this.#create(graph);
    this.#loaded.set(graph, { session, component, bytes, used: ++this.#clock });
    this.#timing(component).load += (performance.now() - startTime) / 1000;
    return session;
  }

  /**
   * Create the session of `graph`. Weights are passed as one Blob per shard. onnxruntime reads each Blob when it mounts
   * it, and releases all after the session is created.
   *
   * @param {Graph} graph
   */
  async #create(graph) {
    const [model, ...shards] = graph.files;
    const folder = model.path.slice(0, model.path.lastIndexOf('/') + 1);
    const externalData = [];
    for (const shard of shards) {
      externalData.push({ path: shard.path.slice(folder.length), data: await this.#artifacts.get(shard) });
    }
    const bytes = new Uint8Array(await (await this.#artifacts.get(model)).arrayBuffer());
    try {
      return await settled(this.#ort.InferenceSession.create(bytes, { ...this.#options, externalData }));
    } catch (error) {
      throw new TurboError('build', `${model.path} is refused (${firstLine(error)})`, 'try another device', model.path);
    }
  }

  /**
   * Release sessions until `bytes` more fit below the limit. Sessions of other components are released first, the least
   * recently used one first. Then the most recently used session of this component is released, because the next step
   * begins with the first graph of the chain.
   *
   * @param {string} component
   * @param {number} bytes
   */
  async #makeRoom(component, bytes) {
    const sum = () => [...this.#loaded.values()].reduce((total, loaded) => total + loaded.bytes, bytes);
    while (this.#loaded.size && sum() > this.#keepBytes) {
      const others = [...this.#loaded].filter(([, loaded]) => loaded.component !== component);
      const oldest = others.sort(([, a], [, b]) => a.used - b.used)[0];
      const latest = [...this.#loaded].sort(([, a], [, b]) => b.used - a.used)[0];
      await this.#drop((oldest ?? latest)[0]);
    }
  }

  /** @param {Graph} graph */
  async #drop(graph) {
    const loaded = this.#loaded.get(graph);
    this.#loaded.delete(graph);
    await loaded?.session.release();
  }

  /** @param {string} component */
  #timing(component) {
    return (this.timings[component] ??= { load: 0, run: 0 });
  }
}

/**
 * Wait for `created`, or throw the next uncaught error. Where WebNN refuses a graph, the promise of create() never
 * settles, and an uncaught error is the only sign.
 *
 * @template T
 * @param {Promise<T>} created
 * @returns {Promise<T>}
 */
async function settled(created) {
  const listeners = new AbortController();
  const { signal } = listeners;
  const failed = new Promise((_, reject) => {
    addEventListener('unhandledrejection', ({ reason }) => reject(reason), { signal });
    addEventListener('error', ({ message }) => reject(new Error(message)), { signal });
  });
  try {
    return /** @type {T} */ (await Promise.race([created, failed]));
  } finally {
    listeners.abort();
  }
}
