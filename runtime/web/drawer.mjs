// Draws pictures from a prompt, or from a prompt and a picture, in a worker. Counterpart: runtime/draw/pipeline.py.
import { PromptEncoder } from './conditions.mjs';
import { TurboError } from './errors.mjs';
import * as images from './images.mjs';
import { NoiseSource } from './noise.mjs';
import { adapterOf, choosePosterior } from './posterior.mjs';
import { blacken, clipInput } from './safety.mjs';
import { Sampler } from './sampler.mjs';
import { entry, plan } from './schedule.mjs';

/** @typedef {import('onnxruntime-web').Tensor} Tensor */
/** @typedef {import('./types.js').WorkerRequest} Request */

/** Draws with a bundle. */
export class Drawer {
  #manifest;
  #artifacts;
  #sessions;
  #tensors;
  #prompts;

  /**
   * @param {import('./types.js').Manifest} manifest
   * @param {import('./artifacts.mjs').Artifacts} artifacts
   * @param {import('./sessions.mjs').Sessions} sessions
   * @param {import('./webnn_tensors.mjs').WebnnTensors | import('./host_tensors.mjs').HostTensors} tensors
   * @param {typeof import('@huggingface/tokenizers')} tokenizers
   */
  constructor(manifest, artifacts, sessions, tensors, tokenizers) {
    this.#manifest = manifest;
    this.#artifacts = artifacts;
    this.#sessions = sessions;
    this.#tensors = tensors;
    this.#prompts = new PromptEncoder(manifest, artifacts, tensors, tokenizers);
  }

  /**
   * Download the files that a drawing needs and that are not stored yet.
   *
   * @param {boolean} fromPicture
   * @param {import('./types.js').OnEvent} report
   */
  async prepare(fromPicture, report) {
    this.#artifacts.report = report;
    await this.#artifacts.fetch(this.#needed(fromPicture));
  }

  /**
   * The number of bytes that prepare() would download.
   *
   * @param {boolean} fromPicture
   */
  async lacking(fromPicture) {
    const files = await this.#artifacts.lacking(this.#needed(fromPicture));
    return files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** @param {boolean} fromPicture */
  #needed(fromPicture) {
    const { components, tokenizers, wiring } = this.#manifest;
    const encoders = Object.values(tokenizers).map(({ text_encoder }) => text_encoder);
    const needed = [...encoders, ...(fromPicture ? [this.#encoder()] : []), wiring.denoiser, wiring.decoder];
    const lacking = needed.find((name) => !components[name]);
    if (lacking) {
      const available = Object.keys(components).join(', ');
      throw new TurboError(
        'request',
        `the bundle has no ${lacking}`,
        `it has ${available}: export with --component ${lacking}`,
      );
    }
    if (wiring.checker && components[wiring.checker]) needed.push(wiring.checker);
    this.#requireContract(needed);
    return { ...tokenizers, ...Object.fromEntries(needed.map((name) => [name, components[name]])) };
  }

  /** The component that encodes pictures into latents. */
  #encoder() {
    const { encoder } = this.#manifest.wiring;
    if (!encoder) throw new TurboError('request', 'this bundle draws from text alone', 'give no image');
    return encoder;
  }

  /**
   * Refuse layouts for other programs, which have other tensors or other names of tensors than the contract.
   *
   * @param {string[]} needed
   */
  #requireContract(needed) {
    for (const name of needed) {
      const { names, adapters } = this.#manifest.components[name];
      const other = Object.keys(names).find((tensor) => !(tensor in adapters)); // of moments, any name will do
      if (other !== undefined)
        throw new TurboError('bundle', `its ${name} has another ${other} here`, 'export with the layout webnn');
    }
  }

  /**
   * @param {Request} request
   * @param {import('./types.js').OnEvent} report
   * @returns {Promise<import('./types.js').Drawn>}
   */
  async draw(request, report) {
    const schedule = plan(this.#manifest, request.steps);
    const first = request.bitmap ? entry(schedule, request.strength) : 0; // refuses before anything is downloaded
    const posterior = choosePosterior(this.#manifest, request.samplePosterior);
    const noise = new NoiseSource(request.seed);
    this.#sessions.report = report;
    this.#sessions.timings = {};
    await this.prepare(Boolean(request.bitmap), report);
    const { conditions, cut } = await this.#prompts.encode(request.prompt, (name, inputs) =>
      this.#run(name, inputs, report),
    );
    const sampler = new Sampler(this.#tensors, noise, schedule, first, this.#latents().shape);
    const encoded = request.bitmap ? await this.#encodePicture(request.bitmap, report) : null;
    const start = encoded && (await this.#pictureLatents(encoded, posterior ? sampler : null));
    const latents = await sampler.begin(start);
    const finished = await this.#sample(sampler, latents, conditions, request.previews, report);
    sampler.end();
    this.#tensors.release(...Object.values(conditions));
    const decoded = await this.#decode(finished, report);
    this.#tensors.release(finished);
    return { ...decoded, promptCut: cut, timings: this.#sessions.timings };
  }

  /**
   * Run the VAE encoder on a picture, for every picture of the batch.
   *
   * @param {ImageBitmap} bitmap
   * @param {import('./types.js').OnEvent} report
   */
  async #encodePicture(bitmap, report) {
    const { size, components } = this.#manifest;
    const encoder = this.#encoder();
    const [spec] = components[encoder].inputs;
    const picture = images.toSample(bitmap, size);
    const batched = new Float32Array(size.batch * picture.length);
    for (let i = 0; i < size.batch; i++) batched.set(picture, i * picture.length);
    const sample = await this.#tensors.write(batched, spec);
    const [encoded] = Object.values(await this.#run(encoder, { [spec.name]: sample }, report));
    this.#tensors.release(sample);
    return encoded;
  }

  /**
   * The latents of a picture, times the VAE's scaling factor, in float32. Releases `encoded`.
   *
   * @param {Tensor} encoded the output of the VAE encoder: the mean of the latents, or their moments
   * @param {Sampler | null} sampler samples the latents; null for their mean
   */
  async #pictureLatents(encoded, sampler) {
    const mean = adapterOf(this.#manifest) ? () => this.#tensors.mean(encoded) : () => encoded;
    const latents = sampler ? await sampler.posterior(encoded) : await mean();
    const scaled = await this.#tensors.scaled(latents, this.#manifest.scaling_factor, 'float32');
    this.#tensors.release(encoded, ...(latents === encoded ? [] : [latents]));
    return scaled;
  }

  /** The spec of the denoiser's input for latents. */
  #latents() {
    const { components, wiring } = this.#manifest;
    const spec = components[wiring.denoiser].inputs.find(({ name }) => name === wiring.latents);
    if (!spec) throw new TurboError('bundle', `its ${wiring.denoiser} has no ${wiring.latents}`, 'export it anew');
    return spec;
  }

  /**
   * Run all steps of the denoiser. Releases `latents`, and returns the final latents.
   *
   * @param {Sampler} sampler
   * @param {Tensor} latents
   * @param {Record<string, Tensor>} conditions
   * @param {boolean} previews whether to report the predicted final picture after each step except the last
   * @param {import('./types.js').OnEvent} report
   */
  async #sample(sampler, latents, conditions, previews, report) {
    const { wiring } = this.#manifest;
    const { steps } = sampler;
    const { dtype } = this.#latents();
    for (const [done, step] of steps.entries()) {
      report({ kind: 'run', name: wiring.denoiser, done, of: steps.length });
      const scaled = await this.#tensors.scaled(latents, step.input_scale, dtype);
      const timestep = await this.#tensors.write(new Float32Array([step.timestep]), { dtype, shape: [1] });
      const inputs = { [wiring.latents]: scaled, [wiring.timestep]: timestep, ...conditions };
      const [output] = Object.values(await this.#sessions.run(wiring.denoiser, inputs));
      this.#tensors.release(scaled, timestep);
      if (previews && done + 1 < steps.length) {
        const clean = await sampler.clean(latents, output, step);
        const { images } = await this.#decode(clean, () => {});
        report({ kind: 'preview', step: done + 1, images });
        this.#tensors.release(clean);
      }
      latents = await sampler.stepped(latents, output, step);
    }
    report({ kind: 'run', name: wiring.denoiser, done: steps.length, of: steps.length });
    return latents;
  }

  /**
   * Decode pictures, and blacken those that the safety checker flags. Where the bundle has no safety checker, `flagged`
   * is empty.
   *
   * @param {Tensor} latents final latents
   * @param {import('./types.js').OnEvent} report
   */
  async #decode(latents, report) {
    const { scaling_factor, size, components, wiring } = this.#manifest;
    const [spec] = components[wiring.decoder].inputs;
    const unscaled = await this.#tensors.scaled(latents, 1 / scaling_factor, spec.dtype);
    const [sample] = Object.values(await this.#run(wiring.decoder, { [spec.name]: unscaled }, report));
    const pictures = images.toImages(await this.#tensors.read(sample), size);
    this.#tensors.release(unscaled, sample);
    const flagged = await this.#flagged(pictures, report);
    for (const [index, flag] of flagged.entries()) if (flag) blacken(pictures[index]);
    return { images: pictures, flagged };
  }

  /**
   * @param {ImageData[]} pictures
   * @param {import('./types.js').OnEvent} report
   */
  async #flagged(pictures, report) {
    const { components, wiring } = this.#manifest;
    const chain = wiring.checker ? components[wiring.checker] : undefined;
    if (!chain || !wiring.checker) return [];
    const [spec] = chain.inputs;
    const input = await this.#tensors.write(clipInput(pictures, spec.shape[3]), spec);
    const [output] = Object.values(await this.#run(wiring.checker, { [spec.name]: input }, report));
    const flagged = Array.from(await this.#tensors.read(output), Boolean);
    this.#tensors.release(input, output);
    return flagged;
  }

  /**
   * Run a component that runs once per drawing, and report its progress.
   *
   * @param {string} component
   * @param {Record<string, Tensor>} inputs
   * @param {import('./types.js').OnEvent} report
   */
  async #run(component, inputs, report) {
    report({ kind: 'run', name: component, done: 0, of: 1 });
    const outputs = await this.#sessions.run(component, inputs);
    report({ kind: 'run', name: component, done: 1, of: 1 });
    return outputs;
  }
}
