// A real Chromium that judges one graph at a time.
//
// node chromium.mjs EXECUTABLE; one job a line on stdin, one answer a line on stdout:
//   { model: file, shards: [{path, file}], inputs: [{name, type, dims, file}], outputs: {name: file},
//     optimization, deviceType, limit_s }
//   → what page.mjs answers, with { browser: version }; error says why where the page gave no answer.
// A browser that has failed once is replaced. The process leaves nothing behind: Chromium ends with its pipe.
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { serve } from './serve.mjs';

const ARGUMENTS = [
  '--disable-gpu',
  '--disable-gpu-watchdog', // a graph that takes long to build would lose its context
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

// The job as the page sees it: files by their URLs. Only these are reachable.
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

// Why a page gives no answer. When build() is refused, InferenceSession.create() never settles: a page error is
// the only sign of it.
function failure(page, limit_s) {
  let timer;
  const reason = new Promise((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${limit_s} s`), limit_s * 1000);
    page.on('pageerror', (error) => resolve(error.message));
    page.on('crash', () => resolve('the page crashed'));
    page.context().browser().on('disconnected', () => resolve('the browser died'));
  });
  return { reason: reason.then((error) => ({ error, lost: true })), forget: () => clearTimeout(timer) };
}

async function judge(browser, job) {
  const page = await browser.newPage();
  const failed = failure(page, job.limit_s);
  await page.goto(`${server.origin}/page.html`);
  const judged = page.evaluate(async (told) => (await import('/page.mjs')).judge(told), publish(job));
  const result = await Promise.race([judged.catch((error) => ({ error: error.message, lost: true })), failed.reason]);
  failed.forget();
  await Promise.race([page.context().close(), new Promise((late) => setTimeout(late, 5000))]);
  return result;
}

let browser = await launch();
answer({ ready: browser.version() });
const lines = readline.createInterface({ input: process.stdin });
let judging = false;
lines.on('close', () => judging && process.exit(1)); // whoever asked is gone, and the browser goes with this process
for await (const line of lines) {
  judging = true;
  browser ??= await launch();
  const version = browser.version();
  const failed = (error) => ({ error: error.message, lost: true });
  const { lost, ...result } = await judge(browser, JSON.parse(line)).catch(failed);
  if (lost) {
    await browser.close().catch(() => {});
    browser = null;
  }
  judging = false;
  answer({ ...result, browser: version });
}
await browser?.close();
server.close();
