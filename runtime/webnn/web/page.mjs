// The part of a check that runs in the browser: one session, one run. The server serves it as /page.mjs, and
// onnxruntime-web under /ort/.
import { readPlacement } from './placement.mjs';

const ARRAYS = {
  float32: Float32Array,
  float16: globalThis.Float16Array ?? Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint32: Uint32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
};

// The log of the provider. The console would send each line through the whole browser.
const log = [];
for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level] = (...words) => log.push(words.join(' '));

// job: { model: url, shards: [{path, data: url}], inputs: [{name, type, dims, data: url}], outputs: {name: url},
//        optimization, deviceType }
// → { ...placement, error, onnxruntime, accelerated, create_ms, run_ms, outputs: {name: {type, dims}} }
export async function check(job) {
  const result = { error: null, onnxruntime: null, accelerated: null, create_ms: null, run_ms: null, outputs: {} };
  try {
    const ort = await import('/ort/ort.webgpu.min.mjs');
    ort.env.wasm.wasmPaths = '/ort/';
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = 'verbose';
    result.onnxruntime = ort.env.versions.web;
    const context = await navigator.ml.createContext({ deviceType: job.deviceType });
    result.accelerated = context.accelerated ?? null;
    await runOnce(ort, job, result);
  } catch (failure) {
    result.error = String(failure?.message ?? failure);
  }
  return { ...readPlacement(log), ...result };
}

async function runOnce(ort, job, result) {
  const feeds = {};
  for (const { name, type, dims, data } of job.inputs) {
    const bytes = await (await fetch(data)).arrayBuffer();
    feeds[name] = new ort.Tensor(type, new ARRAYS[type](bytes), dims);
  }
  const started = performance.now();
  const session = await ort.InferenceSession.create(job.model, {
    executionProviders: [{ name: 'webnn', deviceType: job.deviceType }],
    graphOptimizationLevel: job.optimization,
    externalData: job.shards,
    logSeverityLevel: 0,
    logVerbosityLevel: 0,
    extra: { session: { disable_cpu_ep_fallback: '1' } }, // creation fails where a node would run on the CPU
  });
  result.create_ms = performance.now() - started;
  const ran = performance.now();
  const outputs = await session.run(feeds);
  result.run_ms = performance.now() - ran;
  for (const [name, { type, dims, data }] of Object.entries(outputs)) {
    result.outputs[name] = { type, dims };
    await fetch(job.outputs[name], { method: 'PUT', body: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });
  }
  await session.release();
}
