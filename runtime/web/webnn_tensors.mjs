// Tensors on a WebNN context, and the arithmetic between graphs on the same context. After token ids and noise are
// written, only the results of the check for finite numbers are read by JavaScript before the pixels.

/** @typedef {import('./types.js').Boundary} Boundary */
/** @typedef {import('onnxruntime-web').Tensor} Tensor */

/**
 * The operations on tensors of one device. `HostTensors` has the same operations on the CPU.
 *
 * The caller of a method owns the returned tensor, and must release() it.
 */
export class WebnnTensors {
  #ort;
  #context;
  /** The graphs of the arithmetic by computation, types and shapes. @type {Map<string, Promise<MLGraph>>} */
  #graphs = new Map();

  /**
   * @param {typeof import('onnxruntime-web')} ort
   * @param {MLContext} context the context of all sessions
   */
  constructor(ort, context) {
    this.#ort = ort;
    this.#context = context;
  }

  /**
   * Allocate a tensor for the output of a graph.
   *
   * @param {Boundary} spec
   * @returns {Promise<Tensor>}
   */
  async empty({ dtype, shape }) {
    const dataType = /** @type {MLOperandDataType} */ (dtype);
    const mlTensor = await this.#context.createTensor({ dataType, shape, readable: true, writable: true });
    const options = { dataType: /** @type {'float32'} */ (dtype), dims: shape };
    return this.#ort.Tensor.fromMLTensor(mlTensor, { ...options, dispose: () => mlTensor.destroy() });
  }

  /**
   * @param {Float32Array | Int32Array} numbers
   * @param {Boundary} spec
   */
  async write(numbers, spec) {
    const tensor = await this.empty(spec);
    const bytes = spec.dtype === 'float16' ? new Float16Array(numbers) : numbers;
    this.#context.writeTensor(mlTensorOf(tensor), bytes);
    return tensor;
  }

  /**
   * @param {Tensor} tensor
   * @returns {Promise<Float32Array>}
   */
  async read(tensor) {
    const bytes = await this.#context.readTensor(mlTensorOf(tensor));
    if (tensor.type === 'float16') return new Float32Array(new Float16Array(bytes));
    return new Float32Array(tensor.type === 'int32' ? new Int32Array(bytes) : bytes);
  }

  /** @param {Tensor[]} tensors */
  release(...tensors) {
    for (const tensor of tensors) tensor.dispose();
  }

  /**
   * Compute factor·x in float32.
   *
   * @param {Tensor} x
   * @param {number} factor
   * @param {string} dtype of the result
   */
  async scaled(x, factor, dtype) {
    return this.#compute('scaled', [x], [factor], { dtype, shape: x.dims }, (build, [a, by]) =>
      build.mul(wide(build, a), by),
    );
  }

  /**
   * Compute x + factor·y in float32, for Euler steps and for adding noise.
   *
   * @param {Tensor} x
   * @param {Tensor} y
   * @param {number} factor
   */
  async added(x, y, factor) {
    return this.#compute('added', [x, y], [factor], { dtype: 'float32', shape: x.dims }, (build, [a, b, by]) =>
      build.add(wide(build, a), build.mul(wide(build, b), by)),
    );
  }

  /**
   * The first half of the channels of `moments`, in float32: the mean of normal distributions.
   *
   * @param {Tensor} moments
   */
  async mean(moments) {
    return this.#compute(
      'mean',
      [moments],
      [],
      halved(moments),
      (build, [both]) => build.split(wide(build, both), 2, CHANNELS)[0],
    );
  }

  /**
   * Compute mean + exp(v / 2)·noise in float32, where v, the second half of the channels, is the logarithm of the
   * variance.
   *
   * @param {Tensor} moments
   * @param {Tensor} noise
   */
  async sampled(moments, noise) {
    return this.#compute('sampled', [moments, noise], [0.5], halved(moments), (build, [both, z, half]) => {
      const [mean, logVariance] = build.split(wide(build, both), 2, CHANNELS);
      return build.add(mean, build.mul(build.exp(build.mul(logVariance, half)), z));
    });
  }

  /**
   * Concatenate `tensors` of one type along the last axis.
   *
   * @param {Tensor[]} tensors
   */
  async joined(tensors) {
    const axis = tensors[0].dims.length - 1;
    const width = tensors.reduce((sum, tensor) => sum + tensor.dims[axis], 0);
    const result = { dtype: tensors[0].type, shape: [...tensors[0].dims.slice(0, axis), width] };
    return this.#compute('joined', tensors, [], result, (build, operands) => build.concat(operands, axis));
  }

  /**
   * Whether every number of `tensor` is finite. Only one number is read: the mean magnitude, which is not finite where
   * a number is infinite or NaN. This also waits for all computations that the tensor depends on.
   *
   * @param {Tensor} tensor
   */
  async finite(tensor) {
    const axes = tensor.dims.map((_, axis) => axis);
    const mean = await this.#compute('finite', [tensor], [], { dtype: 'float32', shape: [] }, (build, [a]) =>
      build.reduceMean(build.abs(wide(build, a)), { axes }),
    );
    const [number] = await this.read(mean);
    this.release(mean);
    return Number.isFinite(number);
  }

  /**
   * Run a small graph on `inputs` and `factors`. The graph is built at the first call with its types and shapes.
   *
   * @param {string} name of the computation
   * @param {Tensor[]} inputs
   * @param {number[]} factors
   * @param {Boundary} result
   * @param {(build: MLGraphBuilder, operands: MLOperand[]) => MLOperand} compute
   */
  async #compute(name, inputs, factors, result, compute) {
    const specs = [
      ...inputs.map((tensor) => ({ dtype: tensor.type, shape: tensor.dims })),
      ...factors.map(() => FACTOR),
    ];
    const kind = JSON.stringify([name, specs, result]);
    if (!this.#graphs.has(kind)) this.#graphs.set(kind, this.#build(specs, result, compute));
    const graph = /** @type {MLGraph} */ (await this.#graphs.get(kind));
    const output = await this.empty(result);
    const scalars = await Promise.all(factors.map((factor) => this.write(new Float32Array([factor]), FACTOR)));
    const named = [...inputs, ...scalars].map((tensor, i) => [`input${i}`, mlTensorOf(tensor)]);
    this.#context.dispatch(graph, Object.fromEntries(named), { output: mlTensorOf(output) });
    this.release(...scalars); // WebNN frees a tensor in use only after its dispatch is done
    return output;
  }

  /**
   * @param {Boundary[]} specs
   * @param {Boundary} result
   * @param {(build: MLGraphBuilder, operands: MLOperand[]) => MLOperand} compute
   */
  #build(specs, result, compute) {
    const build = new MLGraphBuilder(this.#context);
    const operands = specs.map(({ dtype, shape }, i) =>
      build.input(`input${i}`, { dataType: /** @type {MLOperandDataType} */ (dtype), shape }),
    );
    const computed = compute(build, operands);
    const dataType = /** @type {MLOperandDataType} */ (result.dtype);
    return build.build({ output: computed.dataType === dataType ? computed : build.cast(computed, dataType) });
  }
}

const CHANNELS = { axis: 1 };

const FACTOR = { dtype: 'float32', shape: [1] };

/**
 * @param {Tensor} moments
 * @returns {Boundary} half of its channels
 */
function halved({ dims: [batch, channels, height, width] }) {
  return { dtype: 'float32', shape: [batch, channels / 2, height, width] };
}

/**
 * @param {MLGraphBuilder} build
 * @param {MLOperand} operand
 */
function wide(build, operand) {
  return operand.dataType === 'float32' ? operand : build.cast(operand, 'float32');
}

/** @param {Tensor} tensor */
function mlTensorOf(tensor) {
  return /** @type {MLTensor} */ (/** @type {unknown} */ (tensor.mlTensor));
}
