// What the denoiser reads besides latents and timestep: outputs of the text encoders, and what never changes.
import { PromptTokenizer } from './text.mjs';

/** @typedef {import('onnxruntime-web').Tensor} Tensor */

/** Prompts to the denoiser's conditions, by the manifest's wiring (models/wiring.py). */
export class PromptEncoder {
  #manifest;
  #artifacts;
  #tensors;
  #library;
  /** @type {Map<string, PromptTokenizer>} */
  #readers = new Map();

  /**
   * @param {import('./types.js').Manifest} manifest
   * @param {import('./artifacts.mjs').Artifacts} artifacts
   * @param {import('./webnn_tensors.mjs').WebnnTensors | import('./host_tensors.mjs').HostTensors} tensors
   * @param {typeof import('@huggingface/tokenizers')} library
   */
  constructor(manifest, artifacts, tensors, library) {
    this.#manifest = manifest;
    this.#artifacts = artifacts;
    this.#tensors = tensors;
    this.#library = library;
  }

  /**
   * Tensors by the name of the denoiser's input, to be released, and what of the prompt did not fit.
   *
   * @param {string} prompt
   * @param {(component: string, inputs: Record<string, Tensor>) => Promise<Record<string, Tensor>>} run
   * @returns {Promise<{conditions: Record<string, Tensor>, cut: string}>}
   */
  async encode(prompt, run) {
    /** @type {Record<string, Tensor>} */
    const outputs = {};
    let longest = '';
    for (const [name, { text_encoder }] of Object.entries(this.#manifest.tokenizers)) {
      const { ids, cut } = (await this.#reader(name)).encode(prompt);
      if (cut.length > longest.length) longest = cut;
      const encoded = await this.#encoded(text_encoder, ids, run);
      for (const [tensor, value] of Object.entries(encoded)) outputs[`${text_encoder}.${tensor}`] = value;
    }
    const conditions = await this.#constant();
    for (const [name, sources] of Object.entries(this.#manifest.wiring.conditions))
      conditions[name] = await this.#sideBySide(sources.map((source) => outputs[source]));
    return { conditions, cut: longest };
  }

  /**
   * @param {string} component
   * @param {Int32Array} ids of one prompt, which every picture of the batch is drawn from
   * @param {(component: string, inputs: Record<string, Tensor>) => Promise<Record<string, Tensor>>} run
   */
  async #encoded(component, ids, run) {
    const [spec] = this.#manifest.components[component].inputs;
    const batched = Int32Array.from({ length: spec.shape[0] * ids.length }, (_, i) => ids[i % ids.length]);
    const input = await this.#tensors.write(batched, spec);
    const outputs = await run(component, { [spec.name]: input });
    this.#tensors.release(input);
    return outputs;
  }

  /** @param {Tensor[]} states taken over */
  async #sideBySide(states) {
    if (states.length === 1) return states[0];
    const joined = await this.#tensors.joined(states);
    this.#tensors.release(...states);
    return joined;
  }

  /** The conditions that are the same in every run: the manifest has one row of the batch. */
  async #constant() {
    /** @type {Record<string, Tensor>} */
    const constant = {};
    const { components, wiring } = this.#manifest;
    for (const spec of components[wiring.denoiser].inputs) {
      const row = this.#manifest.conditions[spec.name];
      if (!row) continue;
      const rows = Float32Array.from({ length: spec.shape[0] * row.length }, (_, i) => row[i % row.length]);
      constant[spec.name] = await this.#tensors.write(rows, spec);
    }
    return constant;
  }

  /** @param {string} name */
  async #reader(name) {
    const held = this.#readers.get(name);
    if (held) return held;
    const described = this.#manifest.tokenizers[name];
    const files = await Promise.all(described.files.map(async (file) => [file.path, await this.#artifacts.get(file)]));
    const reader = await PromptTokenizer.read(this.#library, name, described, Object.fromEntries(files));
    this.#readers.set(name, reader);
    return reader;
  }
}
