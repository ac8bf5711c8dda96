// Tensors on a WebNN context, and the arithmetic between graphs on that same context: once token ids and noise are
// written, nothing visits JavaScript before the pixels are read.

/** @typedef {import('./types.js').Boundary} Boundary */
/** @typedef {import('onnxruntime-web').Tensor} Tensor */

/**
 * What can be done with tensors on one device. `HostTensors` does the same on the CPU.
 *
 * All tensors have owners: who asks for one has to release() it.
 */
export class WebnnTensors {
  #ort;
  #context;
  /** Graphs of the arithmetic, by kind. @type {Map<string, Promise<MLGraph>>} */
  #graphs = new Map();

  /**
   * @param {typeof import('onnxruntime-web')} ort
   * @param {MLContext} context the one that every session has
   */
  constructor(ort, context) {
    this.#ort = ort;
    this.#context = context;
  }

  /**
   * A tensor for a graph to write into.
   *
   * @param {Boundary} spec
   * @returns {Promise<Tensor>}
   */
  async empty({ dtype, shape }) {
    const dataType = /** @type {MLOperandDataType} */ (dtype);
    const mlTensor = await this.#context.createTensor({ dataType, shape, readable: true, writable: true });
    const described = { dataType: /** @type {'float32'} */ (dtype), dims: shape };
    return this.#ort.Tensor.fromMLTensor(mlTensor, { ...described, dispose: () => mlTensor.destroy() });
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
   * factor·x, computed in float32.
   *
   * @param {Tensor} x
   * @param {number} factor
   * @param {string} dtype of the result
   */
  async scaled(x, factor, dtype) {
    return this.#computed('scaled', [x], [factor], { dtype, shape: x.dims }, (build, [a, by]) =>
      build.mul(wide(build, a), by),
    );
  }

  /**
   * x + factor·y in float32: an Euler step, or noise that is added.
   *
   * @param {Tensor} x
   * @param {Tensor} y
   * @param {number} factor
   */
  async added(x, y, factor) {
    return this.#computed('added', [x, y], [factor], { dtype: 'float32', shape: x.dims }, (build, [a, b, by]) =>
      build.add(wide(build, a), build.mul(wide(build, b), by)),
    );
  }

  /**
   * `tensors` of one type side by side along the last axis.
   *
   * @param {Tensor[]} tensors
   */
  async joined(tensors) {
    const axis = tensors[0].dims.length - 1;
    const width = tensors.reduce((sum, tensor) => sum + tensor.dims[axis], 0);
    const result = { dtype: tensors[0].type, shape: [...tensors[0].dims.slice(0, axis), width] };
    return this.#computed('joined', tensors, [], result, (build, operands) => build.concat(operands, axis));
  }

  /**
   * Whether all of `tensor` is finite. One number is read: the mean magnitude, which no infinity and no NaN leaves as
   * it is. Who asks has waited for all that the tensor depends on, too.
   *
   * @param {Tensor} tensor
   */
  async finite(tensor) {
    const axes = tensor.dims.map((_, axis) => axis);
    const mean = await this.#computed('finite', [tensor], [], { dtype: 'float32', shape: [] }, (build, [a]) =>
      build.reduceMean(build.abs(wide(build, a)), { axes }),
    );
    const [number] = await this.read(mean);
    this.release(mean);
    return Number.isFinite(number);
  }

  /**
   * What one small graph makes of `inputs` and `factors`; it is built where there is none of this kind yet.
   *
   * @param {string} name of the computation
   * @param {Tensor[]} inputs
   * @param {number[]} factors
   * @param {Boundary} result
   * @param {(build: MLGraphBuilder, operands: MLOperand[]) => MLOperand} compute
   */
  async #computed(name, inputs, factors, result, compute) {
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
    this.release(...scalars); // what is in use lives until its dispatch is done
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

const FACTOR = { dtype: 'float32', shape: [1] };

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
