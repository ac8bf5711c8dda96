// What tests do inside the page. Each function takes and returns JSON.
import { TurboPipeline } from '/index.mjs';
import { NoiseSource } from '/noise.mjs';
import * as resample from '/resample.mjs';
import { PromptTokenizer } from '/text.mjs';

let pipeline = null;

const told = ({ code = null, message, file = null }) => ({ error: { code, message, file } });
const bytesOf = (image) => [...image.data];
const withoutPixels = ({ images, ...event }) => (images ? { ...event, pixels: bytesOf(images[0]) } : event);

// options of TurboPipeline.open → { device, passedOver } or { error }
export async function open(options) {
  pipeline?.release();
  try {
    pipeline = await TurboPipeline.open('/bundle/', options ?? {});
    return pipeline.choice;
  } catch (error) {
    return told(error);
  }
}

// a request of draw(), `picture` as { rgba, width, height }; at the first event of the kind `at`, `then` is done
// → { images, promptCut, timings, events } or { error, events }
async function drawn({ picture, at, then, ...request }) {
  const events = [];
  const abort = new AbortController();
  const image = picture && new ImageData(new Uint8ClampedArray(picture.rgba), picture.width, picture.height);
  const onEvent = (event) => {
    events.push(withoutPixels(event));
    if (event.kind === at) then(abort);
  };
  try {
    const result = await pipeline.draw({ ...request, image, onEvent, signal: abort.signal });
    return { ...result, images: result.images.map(bytesOf), events };
  } catch (error) {
    return { ...told(error), events };
  }
}

export const draw = drawn;
export const drawAndAbort = (request) => drawn({ ...request, then: (abort) => abort.abort() });

// The device is lost, where the worker is lossy_worker.mjs.
export function drawAndLose(request) {
  const channel = new BroadcastChannel('lose');
  return drawn({ ...request, then: () => channel.postMessage('now') });
}

export const devices = () => TurboPipeline.devices();
export const forget = () => TurboPipeline.clearCache();

const folder = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('turbo-webnn', { create: true });

// → bytes by name, of all that is kept
export async function kept() {
  const sizes = {};
  for await (const [name, handle] of (await folder()).entries()) sizes[name] = (await handle.getFile()).size;
  return sizes;
}

// → of each file that is kept whether its bytes are those that its name promises
export async function keptRight() {
  const right = {};
  for await (const [name, handle] of (await folder()).entries()) {
    const digest = await crypto.subtle.digest('SHA-256', await (await handle.getFile()).arrayBuffer());
    right[name] = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('') === name;
  }
  return right;
}

// Change bytes of a kept file, as a disk does that fails: `flip` one at `at`, or `resize` it.
export async function damage({ name, at, flip, resize }) {
  const handle = await (await folder()).getFileHandle(name);
  const writable = await handle.createWritable({ keepExistingData: true });
  if (flip) {
    const [byte] = new Uint8Array(await (await handle.getFile()).slice(at, at + 1).arrayBuffer());
    await writable.write({ type: 'write', position: at, data: new Uint8Array([byte ^ flip]) });
  } else await writable.truncate(resize);
  await writable.close();
}

// Leave a file as a visit leaves it that is broken off: its first `bytes` bytes, or as many of another file.
export async function plant({ path, name, bytes, garbage }) {
  const whole = garbage
    ? new Uint8Array(bytes).fill(7)
    : new Uint8Array(await (await fetch(`/bundle/${path}`)).arrayBuffer());
  const writable = await (await (await folder()).getFileHandle(name, { create: true })).createWritable();
  await writable.write(whole.subarray(0, bytes));
  await writable.close();
}

// → two draws of each count from one source
export function noise({ seed, counts }) {
  const source = new NoiseSource(BigInt(seed));
  return counts.map((count) => [...source.normal(count)]);
}

export function fitted({ rgb, width, height, to, filter }) {
  return [...resample.fit({ data: new Uint8Array(rgb), width, height }, to[0], to[1], resample[filter]).data];
}

// → { ids, cut } of each prompt, by the bundle's first tokenizer
export async function encoded(prompts) {
  const library = await import('@huggingface/tokenizers');
  const [[name, entry]] = Object.entries(pipeline.manifest.tokenizers);
  const files = {};
  for (const { path } of entry.files) files[path] = await (await fetch(`/bundle/${path}`)).blob();
  const reader = await PromptTokenizer.read(library, name, entry, files);
  return prompts.map((prompt) => {
    const { ids, cut } = reader.encode(prompt);
    return { ids: [...ids], cut };
  });
}

// Fetch what a drawing needs → {} or { error }
export async function prepare() {
  try {
    await pipeline.prepare();
    return {};
  } catch (error) {
    return told(error);
  }
}

// prepare(), and what is heard of it → { events } or { error, events }
export async function prepareHeard() {
  const events = [];
  try {
    await pipeline.prepare({ onEvent: (event) => events.push(event) });
    return { events };
  } catch (error) {
    return { ...told(error), events };
  }
}
