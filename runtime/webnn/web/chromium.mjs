// Checks graphs in a real Chromium, one at a time.
//
// node chromium.mjs EXECUTABLE; one job per line on stdin, one answer per line on stdout:
//   { model: file, shards: [{path, file}], inputs: [{name, type, dims, file}], outputs: {name: file},
//     optimization, deviceType, limit_s }
//   → the answer of page.mjs, with { browser: version }. Where the page gives no answer, `error` is the reason.
// A browser is replaced after a failure. Chromium exits when its pipe closes, so the process leaves nothing behind.
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { serve } from './serve.mjs';

const ARGUMENTS = [
  '--disable-gpu',
  '--disable-gpu-watchdog', // the watchdog would destroy the context of a graph that takes long to build
  '--enable-features=WebMachineLearningNeuralNetwork',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
];
const HERE = path.dirname(fileURLToPath(import.meta.url));
const ORT = path.dirname(fileURLToPath(import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm')));
const PAGES = ['page.html', 'page.mjs', 'placement.mjs'].map((name) => [`/${name}`, path.join(HERE, name)]);
const PARTS = ['ort.webgpu.min.mjs', 'ort-wasm-simd-threaded.asyncify.mjs', 'ort-wasm-simd-threaded.asyncify.wasm'];

const routes = new Map([...PAGES, ...PARTS.map((name) => [`/ort/${name}`, path.join(ORT, name)])]);
const puts = new Map();
const server = await serve(routes, puts);
const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const launch = () => chromium.launch({ executablePath: process.argv[2], args: ARGUMENTS });

// The job for the page, with URLs instead of files. The server serves only these files.
function publish(job) {
  const put = (map, url, file) => map.set(url, file) && url;
  return {
    model: put(routes, '/job/model.onnx', job.model),
    shards: job.shards.map(({ path: name, file }, i) => ({ path: name, data: put(routes, `/job/shard/${i}`, file) })),
    inputs: job.inputs.map(({ file, ...input }, i) => ({ ...input, data: put(routes, `/job/input/${i}`, file) })),
    outputs: Object.fromEntries(
      Object.entries(job.outputs).map(([name, file], i) => [name, put(puts, `/job/output/${i}`, file)]),
    ),
    optimization: job.optimization,
    deviceType: job.deviceType,
  };
}

// Waits for the reason why a page gives no answer. Where build() fails, the promise of InferenceSession.create() never
// settles, and the only sign is an error event of the page.
function watchFailure(page, limit_s) {
  let timer;
  const reason = new Promise((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${limit_s} s`), limit_s * 1000);
    page.on('pageerror', (error) => resolve(error.message));
    page.on('crash', () => resolve('the page crashed'));
    page.context().browser().on('disconnected', () => resolve('the browser died'));
  });
  return { reason: reason.then((error) => ({ error, lost: true })), stop: () => clearTimeout(timer) };
}

async function check(browser, job) {
  const page = await browser.newPage();
  const failure = watchFailure(page, job.limit_s);
  await page.goto(`${server.origin}/page.html`);
  const pageAnswer = page
    .evaluate(async (pageJob) => (await import('/page.mjs')).check(pageJob), publish(job))
    .catch((error) => ({ error: error.message, lost: true }));
  const result = await Promise.race([pageAnswer, failure.reason]);

  failure.stop();
  await Promise.race([page.context().close(), new Promise((resolve) => setTimeout(resolve, 5000))]);
  return result;
}

let browser = await launch();
answer({ ready: browser.version() });
const lines = readline.createInterface({ input: process.stdin });
let checking = false;
lines.on('close', () => checking && process.exit(1)); // the parent process ended; the browser exits with this process
for await (const line of lines) {
  checking = true;
  browser ??= await launch();
  const version = browser.version();
  const toFailure = (error) => ({ error: error.message, lost: true });
  const { lost, ...result } = await check(browser, JSON.parse(line)).catch(toFailure);
  if (lost) {
    await browser.close().catch(() => {});
    browser = null;
  }
  checking = false;
  answer({ ...result, browser: version });
}
await browser?.close();
server.close();
