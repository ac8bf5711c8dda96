// The inputs of the denoiser besides latents and timestep: outputs of the text encoders, and constants.
import { PromptTokenizer } from './text.mjs';

/** @typedef {import('onnxruntime-web').Tensor} Tensor */

/** Encodes prompts into the denoiser's conditions, along the manifest's wiring (models/wiring.py). */
export class PromptEncoder {
  #manifest;
  #artifacts;
  #tensors;
  #library;
  /** @type {Map<string, PromptTokenizer>} */
  #tokenizers = new Map();

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
   * The conditions by the name of the denoiser's input, and the part of the prompt that does not fit. The caller
   * releases the tensors.
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
      const { ids, cut } = (await this.#tokenizer(name)).encode(prompt);
      if (cut.length > longest.length) longest = cut;
      const encoded = await this.#encoded(text_encoder, ids, run);
      for (const [tensor, value] of Object.entries(encoded)) outputs[`${text_encoder}.${tensor}`] = value;
    }
    const conditions = await this.#constants();
    for (const [name, sources] of Object.entries(this.#manifest.wiring.conditions))
      conditions[name] = await this.#concatenate(sources.map((source) => outputs[source]));
    return { conditions, cut: longest };
  }

  /**
   * @param {string} component
   * @param {Int32Array} ids of the prompt, which is the same for every picture of the batch
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

  /** @param {Tensor[]} states are released, or returned */
  async #concatenate(states) {
    if (states.length === 1) return states[0];
    const joined = await this.#tensors.joined(states);
    this.#tensors.release(...states);
    return joined;
  }

  /** The conditions that are the same in every run. The manifest has one row of the batch for each. */
  async #constants() {
    /** @type {Record<string, Tensor>} */
    const constants = {};
    const { components, wiring } = this.#manifest;
    for (const spec of components[wiring.denoiser].inputs) {
      const row = this.#manifest.conditions[spec.name];
      if (!row) continue;
      const rows = Float32Array.from({ length: spec.shape[0] * row.length }, (_, i) => row[i % row.length]);
      constants[spec.name] = await this.#tensors.write(rows, spec);
    }
    return constants;
  }

  /** @param {string} name */
  async #tokenizer(name) {
    const loaded = this.#tokenizers.get(name);
    if (loaded) return loaded;
    const entry = this.#manifest.tokenizers[name];
    const files = await Promise.all(entry.files.map(async (file) => [file.path, await this.#artifacts.get(file)]));
    const tokenizer = await PromptTokenizer.read(this.#library, name, entry, Object.fromEntries(files));
    this.#tokenizers.set(name, tokenizer);
    return tokenizer;
  }
}
