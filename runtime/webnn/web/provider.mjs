// Runs the WebNN execution provider of onnxruntime-web in Node, with a fake navigator.ml.
//
// One job per line on stdin, one answer per line on stdout:
//   {"model": "m.onnx", "zeros": {"path", "bytes"}, "limits": {…}, "optimization": "disabled"}
//   {"whole", "partitions", "nodes", "placed", "refusals": [{"operator", "node", "reason"}], "elsewhere", "error"}
// `limits` is the result of the fake MLContext.opSupportLimits(). All weights are zeros of one file, because the
// provider places nodes by names, types, shapes and small constants. The first line of output is {"ready": version}.
// Start it with `node --liftoff-only`: optimising 27 MB of WebAssembly takes half a minute.
import fs from 'node:fs';
import readline from 'node:readline';
import { readPlacement } from './placement.mjs';

const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

// The log of the provider by lines. In Node, Emscripten prints with fs.writeSync, and other code prints with console.
const log = [];
for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level] = (...words) => log.push(words.join(' '));
const writeSync = fs.writeSync;
fs.writeSync = (fd, data, ...rest) => {
  if (fd !== 1 && fd !== 2) return writeSync(fd, data, ...rest);
  const bytes = Buffer.from(data);
  log.push(...bytes.toString().split('\n'));
  return bytes.length;
};

let limits = {}; // the table of the current job

// A builder with exactly the methods of the table. The provider checks `builder[op]` first.
class Builder {
  constructor() {
    return new Proxy(this, { get: (_, name) => this.method(name) });
  }

  method(name) {
    if (name === 'build') return async () => ({ destroy() {} });
    if (name === 'split') return (_, parts) => Array.from(Array.isArray(parts) ? parts : { length: parts }, () => ({}));
    if (name === 'gru' || name === 'lstm') return () => [{}, {}, {}];
    if (name === 'input' || name === 'constant' || name in limits) return () => ({});
    return undefined;
  }
}

globalThis.MLGraphBuilder = Builder;
globalThis.MLContext = class {
  lost = new Promise(() => {});
  opSupportLimits() { return limits; }
  async createTensor() { return { destroy() {} }; }
  writeTensor() {}
  async readTensor() { return new ArrayBuffer(0); }
  dispatch() {}
};
globalThis.MLTensor = class {};
globalThis.GPUDevice = class {};
const ml = { createContext: async () => new MLContext() };
const navigator = { ml, userAgent: 'node', hardwareConcurrency: 1 };
Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });

const ort = await import('onnxruntime-web/webgpu');
ort.env.wasm.numThreads = 1;
const wasm = import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm');
ort.env.wasm.wasmBinary = fs.readFileSync(new URL(wasm));
ort.env.logLevel = 'verbose';

let weights = new Uint8Array(0); // kept between jobs, because all jobs use the same weights
function zeros(bytes) {
  if (weights.length < bytes) weights = new Uint8Array(bytes);
  return weights;
}

async function run(job) {
  log.length = 0;
  limits = job.limits;
  let error = null;
  let broken = false;
  const options = {
    executionProviders: [{ name: 'webnn', deviceType: 'cpu' }],
    graphOptimizationLevel: job.optimization,
    logSeverityLevel: 0,
    logVerbosityLevel: 0,
    externalData: job.zeros ? [{ path: job.zeros.path, data: zeros(job.zeros.bytes) }] : [],
  };
  try {
    const session = await ort.InferenceSession.create(fs.readFileSync(job.model), options);
    await session.release();
  } catch (failure) {
    error = String(failure.message ?? failure);
    broken = failure instanceof WebAssembly.RuntimeError;
  }
  const placement = readPlacement(log);
  return { ...placement, whole: placement.whole && error === null, error, broken };
}

answer({ ready: ort.env.versions.web });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { broken, ...verdict } = await run(JSON.parse(line));
  answer({ ...verdict, last: broken });
  if (broken) break; // after a trap the memory of the module is undefined, so the next job needs a new process
}
