// onnxruntime sessions over a bundle's components, made one after another and released where room is short.
import { TurboError, firstLine } from './errors.mjs';

/** @typedef {import('onnxruntime-web').Tensor} Tensor */
/** @typedef {import('./types.js').Graph} Graph */
/** @typedef {import('onnxruntime-web').InferenceSession} InferenceSession */
/** @typedef {import('onnxruntime-web').InferenceSession.SessionOptions} SessionOptions */
/** @typedef {{session: InferenceSession, component: string, bytes: number, used: number}} Held */

export class Sessions {
  #ort;
  #options;
  #manifest;
  #artifacts;
  #tensors;
  #keepBytes;
  /** Sessions that are loaded, by their graph. @type {Map<Graph, Held>} */
  #held = new Map();
  #clock = 0;
  /** Seconds by component. @type {Record<string, import('./types.js').Timing>} */
  timings = {};
  /** @type {import('./types.js').OnEvent} */
  report = () => {};

  /**
   * @param {typeof import('onnxruntime-web')} ort
   * @param {SessionOptions} options which provider, and how
   * @param {import('./types.js').Manifest} manifest
   * @param {import('./artifacts.mjs').Artifacts} artifacts
   * @param {import('./webnn_tensors.mjs').WebnnTensors | import('./host_tensors.mjs').HostTensors} tensors
   * @param {number} keepBytes weights that may stay loaded; the graph at work always may
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
   * The component's outputs by name. Its graphs run one after another, each on inputs of the component and outputs
   * of those before it.
   *
   * @param {string} component
   * @param {Record<string, Tensor>} inputs
   * @returns {Promise<Record<string, Tensor>>}
   */
  async run(component, inputs) {
    const chain = this.#manifest.components[component];
    /** @type {Record<string, Tensor>} */
    const made = {};
    for (const [index, graph] of chain.graphs.entries()) {
      const session = await this.#session(component, graph, index);
      const began = performance.now();
      const given = { ...inputs, ...made };
      const feeds = Object.fromEntries(graph.inputs.map(({ name }) => [name, given[name]]));
      const outputs = await this.#ran(session, feeds, graph);
      await this.#requireFinite(component, outputs);
      Object.assign(made, outputs);
      this.#timing(component).run += (performance.now() - began) / 1000;
    }
    const outputs = chain.outputs.map(({ name }) => name);
    this.#tensors.release(
      ...Object.keys(made)
        .filter((name) => !outputs.includes(name))
        .map((name) => made[name]),
    );
    return Object.fromEntries(outputs.map((name) => [name, made[name]]));
  }

  /** Give back the memory of all sessions. */
  async release() {
    for (const graph of [...this.#held.keys()]) await this.#drop(graph);
  }

  /**
   * @param {InferenceSession} session
   * @param {Record<string, Tensor>} feeds
   * @param {Graph} graph
   */
  async #ran(session, feeds, graph) {
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
   * Waits for the graph, too, so that what is timed is its work.
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
    const held = this.#held.get(graph);
    if (held) {
      held.used = ++this.#clock;
      return held.session;
    }
    const bytes = graph.files.reduce((sum, file) => sum + file.bytes, 0);
    await this.#makeRoom(component, bytes);
    const of = this.#manifest.components[component].graphs.length;
    this.report({ kind: 'load', name: component, graph: index + 1, of, bytes });
    const began = performance.now();
    const session = await this.#create(graph);
    this.#held.set(graph, { session, component, bytes, used: ++this.#clock });
    this.#timing(component).load += (performance.now() - began) / 1000;
    return session;
  }

  /**
   * Weights are handed over as Blobs, shard by shard: onnxruntime reads each when it mounts it, and lets go of them
   * once the session is made.
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
   * Release what is needed last, until `bytes` more are allowed: other components first, which have had their turn;
   * of the same one the graph that has just run, for the next step begins with the chain's first.
   *
   * @param {string} component
   * @param {number} bytes
   */
  async #makeRoom(component, bytes) {
    const sum = () => [...this.#held.values()].reduce((total, held) => total + held.bytes, bytes);
    while (this.#held.size && sum() > this.#keepBytes) {
      const others = [...this.#held].filter(([, held]) => held.component !== component);
      const oldest = others.sort(([, a], [, b]) => a.used - b.used)[0];
      const latest = [...this.#held].sort(([, a], [, b]) => b.used - a.used)[0];
      await this.#drop((oldest ?? latest)[0]);
    }
  }

  /** @param {Graph} graph */
  async #drop(graph) {
    const held = this.#held.get(graph);
    this.#held.delete(graph);
    await held?.session.release();
  }

  /** @param {string} component */
  #timing(component) {
    return (this.timings[component] ??= { load: 0, run: 0 });
  }
}

/**
 * `created`, or what the browser says of it: where WebNN refuses a graph, create() never settles, and the only sign
 * is an error that nobody has caught.
 *
 * @template T
 * @param {Promise<T>} created
 * @returns {Promise<T>}
 */
async function settled(created) {
  const heard = new AbortController();
  const { signal } = heard;
  const refused = new Promise((_, refuse) => {
    addEventListener('unhandledrejection', ({ reason }) => refuse(reason), { signal });
    addEventListener('error', ({ message }) => refuse(new Error(message)), { signal });
  });
  try {
    return /** @type {T} */ (await Promise.race([created, refused]));
  } finally {
    heard.abort();
  }
}
