// From a prompt, or a prompt and a picture, to pictures: the counterpart of runtime/draw/pipeline.py, in a worker.
import { PromptEncoder } from './conditions.mjs';
import { TurboError } from './errors.mjs';
import * as images from './images.mjs';
import { NoiseSource } from './noise.mjs';
import { blacken, clipInput } from './safety.mjs';
import { entry, plan } from './schedule.mjs';

/** @typedef {import('onnxruntime-web').Tensor} Tensor */
/** @typedef {import('./types.js').WorkerRequest} Request */

const CHECKER = 'safety_checker'; // the one component that a bundle may lack

/** A bundle that draws. */
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
   * Fetch what a drawing needs; nothing that is held already.
   *
   * @param {boolean} fromPicture
   * @param {import('./types.js').OnEvent} report
   */
  async prepare(fromPicture, report) {
    this.#artifacts.report = report;
    await this.#artifacts.fetch(this.#needed(fromPicture));
  }

  /**
   * Bytes that prepare() would fetch.
   *
   * @param {boolean} fromPicture
   */
  async lacking(fromPicture) {
    const files = await this.#artifacts.lacking(this.#needed(fromPicture));
    return files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** @param {boolean} fromPicture */
  #needed(fromPicture) {
    const { components, tokenizers } = this.#manifest;
    const encoders = Object.values(tokenizers).map(({ text_encoder }) => text_encoder);
    const needed = [...encoders, ...(fromPicture ? ['vae_encoder'] : []), 'unet', 'vae_decoder'];
    const lacking = needed.find((name) => !components[name]);
    if (lacking) {
      const held = Object.keys(components).join(', ');
      throw new TurboError(
        'request',
        `the bundle has no ${lacking}`,
        `it has ${held}: export with --component ${lacking}`,
      );
    }
    if (components[CHECKER]) needed.push(CHECKER);
    return { ...tokenizers, ...Object.fromEntries(needed.map((name) => [name, components[name]])) };
  }

  /**
   * @param {Request} request
   * @param {import('./types.js').OnEvent} report
   * @returns {Promise<import('./types.js').Drawn>}
   */
  async draw(request, report) {
    const schedule = plan(this.#manifest, request.steps);
    const first = request.bitmap ? entry(schedule, request.strength) : 0; // refused before anything is fetched
    const noise = new NoiseSource(request.seed);
    this.#sessions.report = report;
    this.#sessions.timings = {};
    await this.prepare(Boolean(request.bitmap), report);
    const { conditions, cut } = await this.#prompts.encode(request.prompt, (name, inputs) =>
      this.#run(name, inputs, report),
    );
    const start = request.bitmap ? await this.#encodePicture(request.bitmap, report) : null;
    const latents = await this.#start(schedule, first, start, noise);
    const finished = await this.#sample(
      schedule.steps.slice(first),
      latents,
      conditions,
      noise,
      request.previews,
      report,
    );
    this.#tensors.release(...Object.values(conditions));
    const decoded = await this.#decode(finished, report);
    this.#tensors.release(finished);
    return { ...decoded, promptCut: cut, timings: this.#sessions.timings };
  }

  /**
   * The mean latents of a picture, times the VAE's factor, in float32.
   *
   * @param {ImageBitmap} bitmap
   * @param {import('./types.js').OnEvent} report
   */
  async #encodePicture(bitmap, report) {
    const { size, scaling_factor, vae_encoder_output, components } = this.#manifest;
    if (vae_encoder_output !== 'mean') {
      throw new TurboError(
        'bundle',
        `its vae_encoder gives ${vae_encoder_output}, not the mean`,
        'export with the layout webnn',
      );
    }
    const [spec] = components.vae_encoder.inputs;
    const picture = images.toSample(bitmap, size);
    const batched = new Float32Array(size.batch * picture.length);
    for (let i = 0; i < size.batch; i++) batched.set(picture, i * picture.length);
    const sample = await this.#tensors.write(batched, spec);
    const [mean] = Object.values(await this.#run('vae_encoder', { [spec.name]: sample }, report));
    const scaled = await this.#tensors.scaled(mean, scaling_factor, 'float32');
    this.#tensors.release(sample, mean);
    return scaled;
  }

  /**
   * The latents at which a run begins: pure noise, or a picture's under noise. Takes `start` over.
   *
   * @param {import('./types.js').Schedule} schedule
   * @param {number} first
   * @param {Tensor | null} start
   * @param {NoiseSource} noise
   */
  async #start(schedule, first, start, noise) {
    const drawn = await this.#noise(noise);
    const latents = start
      ? await this.#tensors.added(start, drawn, schedule.steps[first].sigma)
      : await this.#tensors.scaled(drawn, schedule.init_noise_sigma, 'float32');
    this.#tensors.release(drawn, ...(start ? [start] : []));
    return latents;
  }

  /** @param {NoiseSource} noise */
  #noise(noise) {
    const { batch, latent_height, latent_width } = this.#manifest.size;
    const shape = [batch, 4, latent_height, latent_width];
    return this.#tensors.write(noise.normal(shape.reduce((a, b) => a * b)), { dtype: 'float32', shape });
  }

  /**
   * Take `latents` down `steps`, by the formula of models/schedule.py: with eps what the UNet makes of
   * x / sqrt(sigma² + 1), x ← x + (next_sigma − sigma)·eps + noise_scale·noise.
   *
   * @param {import('./types.js').Step[]} steps
   * @param {Tensor} latents
   * @param {Record<string, Tensor>} conditions
   * @param {NoiseSource} noise
   * @param {boolean} previews whether to show, after each step but the last, the picture that it points at
   * @param {import('./types.js').OnEvent} report
   */
  async #sample(steps, latents, conditions, noise, previews, report) {
    const [sampleSpec] = this.#manifest.components.unet.inputs;
    for (const [done, step] of steps.entries()) {
      report({ kind: 'run', name: 'unet', done, of: steps.length });
      const sample = await this.#tensors.scaled(latents, 1 / Math.sqrt(step.sigma ** 2 + 1), sampleSpec.dtype);
      const timestep = await this.#tensors.write(new Float32Array([step.timestep]), {
        dtype: sampleSpec.dtype,
        shape: [1],
      });
      const [eps] = Object.values(await this.#sessions.run('unet', { sample, timestep, ...conditions }));
      if (previews && done + 1 < steps.length) await this.#preview(latents, eps, step.sigma, done + 1, report);
      const stepped = await this.#tensors.added(latents, eps, step.next_sigma - step.sigma);
      this.#tensors.release(latents, sample, timestep, eps);
      latents = step.noise_scale ? await this.#noised(stepped, noise, step.noise_scale) : stepped;
    }
    report({ kind: 'run', name: 'unet', done: steps.length, of: steps.length });
    return latents;
  }

  /**
   * `latents` with noise added. Takes them over.
   *
   * @param {Tensor} latents
   * @param {NoiseSource} noise
   * @param {number} scale
   */
  async #noised(latents, noise, scale) {
    const drawn = await this.#noise(noise);
    const noised = await this.#tensors.added(latents, drawn, scale);
    this.#tensors.release(latents, drawn);
    return noised;
  }

  /**
   * @param {Tensor} latents
   * @param {Tensor} eps
   * @param {number} sigma
   * @param {number} step how many are done
   * @param {import('./types.js').OnEvent} report
   */
  async #preview(latents, eps, sigma, step, report) {
    const clean = await this.#tensors.added(latents, eps, -sigma);
    const { images } = await this.#decode(clean, () => {});
    report({ kind: 'preview', step, images });
    this.#tensors.release(clean);
  }

  /**
   * Pictures, and which of them the safety checker refused, which made them black; none where the bundle has none.
   *
   * @param {Tensor} latents finished
   * @param {import('./types.js').OnEvent} report
   */
  async #decode(latents, report) {
    const { scaling_factor, size, components } = this.#manifest;
    const [spec] = components.vae_decoder.inputs;
    const latent_sample = await this.#tensors.scaled(latents, 1 / scaling_factor, spec.dtype);
    const [sample] = Object.values(await this.#run('vae_decoder', { [spec.name]: latent_sample }, report));
    const pictures = images.toImages(await this.#tensors.read(sample), size);
    this.#tensors.release(latent_sample, sample);
    const flagged = await this.#flagged(pictures, report);
    for (const [index, refused] of flagged.entries()) if (refused) blacken(pictures[index]);
    return { images: pictures, flagged };
  }

  /**
   * @param {ImageData[]} pictures
   * @param {import('./types.js').OnEvent} report
   */
  async #flagged(pictures, report) {
    const chain = this.#manifest.components[CHECKER];
    if (!chain) return [];
    const [spec] = chain.inputs;
    const input = await this.#tensors.write(clipInput(pictures, spec.shape[3]), spec);
    const [found] = Object.values(await this.#run(CHECKER, { [spec.name]: input }, report));
    const flagged = Array.from(await this.#tensors.read(found), Boolean);
    this.#tensors.release(input, found);
    return flagged;
  }

  /**
   * One run of a component that runs once a drawing.
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
