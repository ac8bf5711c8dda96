// Tensors in JavaScript's memory, for WebGPU and WASM. Latents are copied there; they have only a few kilobytes.

/** @typedef {import('./types.js').Boundary} Boundary */
/** @typedef {import('onnxruntime-web').Tensor} Tensor */

/** The operations of `WebnnTensors`, on the CPU. */
export class HostTensors {
  #ort;

  /** @param {typeof import('onnxruntime-web')} ort */
  constructor(ort) {
    this.#ort = ort;
  }

  /** Returns null, because onnxruntime allocates the outputs itself. */
  async empty() {
    return null;
  }

  /**
   * @param {Float32Array | Int32Array} numbers
   * @param {Boundary} spec
   * @returns {Promise<Tensor>}
   */
  async write(numbers, { dtype, shape }) {
    const narrow = dtype === 'float16' ? new Float16Array(numbers) : numbers;
    // the types of onnxruntime-web do not have Float16Array yet, but its tensors accept it
    return new this.#ort.Tensor(
      /** @type {'float32'} */ (dtype),
      /** @type {Float32Array} */ (/** @type {unknown} */ (narrow)),
      shape,
    );
  }

  /** @param {Tensor} tensor */
  async read(tensor) {
    return Float32Array.from(/** @type {Float32Array} */ (tensor.data));
  }

  /** @param {Tensor[]} tensors */
  release(...tensors) {
    for (const tensor of tensors) tensor.dispose();
  }

  /**
   * @param {Tensor} x
   * @param {number} factor
   * @param {string} dtype
   */
  async scaled(x, factor, dtype) {
    const numbers = await this.read(x);
    return this.write(
      numbers.map((number) => number * factor),
      { dtype, shape: x.dims },
    );
  }

  /**
   * @param {Tensor} x
   * @param {Tensor} y
   * @param {number} factor
   */
  async added(x, y, factor) {
    const [numbers, others] = [await this.read(x), await this.read(y)];
    return this.write(
      numbers.map((number, i) => number + factor * others[i]),
      { dtype: 'float32', shape: x.dims },
    );
  }

  /**
   * @param {Tensor} moments
   */
  async mean(moments) {
    const { mean, shape } = await this.#halves(moments);
    return this.write(mean, { dtype: 'float32', shape });
  }

  /**
   * @param {Tensor} moments
   * @param {Tensor} noise
   */
  async sampled(moments, noise) {
    const { mean, logVariance, shape } = await this.#halves(moments);
    const numbers = await this.read(noise);
    const sampled = mean.map((number, i) => number + Math.exp(logVariance[i] / 2) * numbers[i]);
    return this.write(sampled, { dtype: 'float32', shape });
  }

  /**
   * The halves of the channels of `moments`, and the shape of each.
   *
   * @param {Tensor} moments
   */
  async #halves(moments) {
    const [batch, channels, height, width] = moments.dims;
    const shape = [batch, channels / 2, height, width];
    const picture = (channels / 2) * height * width;
    const numbers = await this.read(moments);
    const [mean, logVariance] = [new Float32Array(batch * picture), new Float32Array(batch * picture)];
    for (let i = 0; i < batch; i++) {
      mean.set(numbers.subarray(2 * i * picture, (2 * i + 1) * picture), i * picture);
      logVariance.set(numbers.subarray((2 * i + 1) * picture, (2 * i + 2) * picture), i * picture);
    }
    return { mean, logVariance, shape };
  }

  /** @param {Tensor[]} tensors */
  async joined(tensors) {
    const rank = tensors[0].dims.length;
    const widths = tensors.map((tensor) => tensor.dims[rank - 1]);
    const width = widths.reduce((sum, tensorWidth) => sum + tensorWidth, 0);
    const rows = tensors[0].size / widths[0];
    const joined = new Float32Array(rows * width);
    let column = 0;
    for (const [i, tensor] of tensors.entries()) {
      const numbers = await this.read(tensor);
      for (let row = 0; row < rows; row++) {
        joined.set(numbers.subarray(row * widths[i], (row + 1) * widths[i]), row * width + column);
      }
      column += widths[i];
    }
    return this.write(joined, { dtype: tensors[0].type, shape: [...tensors[0].dims.slice(0, -1), width] });
  }

  /** @param {Tensor} tensor */
  async finite(tensor) {
    return (await this.read(tensor)).every(Number.isFinite);
  }
}
