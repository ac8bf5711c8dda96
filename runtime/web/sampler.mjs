// Samples along a schedule: the counterpart of runtime/draw/sampler.py. The formulas are those of models/schedule.py.

/** @typedef {import('onnxruntime-web').Tensor} Tensor */
/** @typedef {import('./types.js').Combination} Combination */
/** @typedef {import('./types.js').Step} Step */

/** One run along a schedule. */
export class Sampler {
  #tensors;
  #noise;
  #schedule;
  #shape;
  /** @type {Tensor | null} the denoiser's output in the previous step */
  #lastOutput = null;

  /**
   * @param {import('./webnn_tensors.mjs').WebnnTensors | import('./host_tensors.mjs').HostTensors} tensors
   * @param {import('./noise.mjs').NoiseSource} noise
   * @param {import('./types.js').Schedule} schedule
   * @param {number} first the index of the first step of the run
   * @param {number[]} shape of the latents
   */
  constructor(tensors, noise, schedule, first, shape) {
    this.#tensors = tensors;
    this.#noise = noise;
    this.#schedule = schedule;
    this.#shape = shape;
    this.steps = schedule.steps.slice(first);
  }

  /**
   * Sample the latents of a picture, before begin(). The noise of one picture is repeated for the batch, as diffusers
   * repeats its latents. Releases nothing.
   *
   * @param {Tensor} moments of the latents of each picture of the batch
   */
  async posterior(moments) {
    const [batch, ...sides] = this.#shape;
    const one = this.#noise.normal(count(sides));
    const numbers = new Float32Array(batch * one.length);
    for (let i = 0; i < batch; i++) numbers.set(one, i * one.length);
    const noise = await this.#tensors.write(numbers, { dtype: 'float32', shape: this.#shape });
    const latents = await this.#tensors.sampled(moments, noise);
    this.#tensors.release(noise);
    return latents;
  }

  /**
   * Make the first latents: noise, or a picture's latents with noise added. Releases `start`.
   *
   * @param {Tensor | null} start
   */
  async begin(start) {
    const noise = await this.#drawNoise();
    if (!start) {
      const latents = await this.#tensors.scaled(noise, this.#schedule.init_noise_sigma, 'float32');
      this.#tensors.release(noise);
      return latents;
    }
    const sums = this.steps[0].start;
    const latents = await this.#sum([sums.latents, start], [[sums.noise, noise]]);
    this.#tensors.release(noise, start);
    return latents;
  }

  /**
   * Compute the latents after `step`. Releases `latents`, and keeps `output` for the next step.
   *
   * @param {Tensor} latents
   * @param {Tensor} output of the denoiser
   * @param {Step} step
   */
  async stepped(latents, output, { next }) {
    /** @type {[number, Tensor][]} */
    const terms = [
      [next.output, output],
      [next.last_output, this.#lastOutput ?? output], // the first step has no previous output
    ];
    const noise = next.noise ? await this.#drawNoise() : null;
    if (noise) terms.push([next.noise, noise]);
    const stepped = await this.#sum([next.latents, latents], terms);
    this.#tensors.release(latents, ...(noise ? [noise] : []));
    this.end();
    this.#lastOutput = output;
    return stepped;
  }

  /**
   * The final latents that the output of `step` predicts. Releases nothing.
   *
   * @param {Tensor} latents
   * @param {Tensor} output of the denoiser
   * @param {Step} step
   */
  clean(latents, output, { clean }) {
    return this.#sum([clean.latents, latents], [[clean.output, output]]);
  }

  /** Release the tensor that is kept between steps. */
  end() {
    if (this.#lastOutput) this.#tensors.release(this.#lastOutput);
    this.#lastOutput = null;
  }

  #drawNoise() {
    return this.#tensors.write(this.#noise.normal(count(this.#shape)), { dtype: 'float32', shape: this.#shape });
  }

  /**
   * The sum of coefficient·tensor in float32. Terms of `others` with coefficient 0 are skipped.
   *
   * @param {[number, Tensor]} first
   * @param {[number, Tensor][]} others
   * @returns {Promise<Tensor>}
   */
  async #sum([coefficient, first], others) {
    const terms = others.filter(([factor]) => factor !== 0);
    const isUnscaled = coefficient === 1 && terms.length > 0;
    let total = isUnscaled ? first : await this.#tensors.scaled(first, coefficient, 'float32');
    for (const [factor, tensor] of terms) {
      const sum = await this.#tensors.added(total, tensor, factor);
      if (total !== first) this.#tensors.release(total);
      total = sum;
    }
    return total;
  }
}

/**
 * The number of elements of a tensor of `shape`.
 *
 * @param {number[]} shape
 */
function count(shape) {
  return shape.reduce((product, side) => product * side);
}
