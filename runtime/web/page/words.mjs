// How numbers and names are said.

/** @type {Record<string, string>} */
const COMPONENTS = {
  tokenizer: 'Tokenizer',
  tokenizer_2: 'Tokenizer 2',
  text_encoder: 'Text encoder',
  text_encoder_2: 'Text encoder 2',
  vae_encoder: 'Picture to latents',
  unet: 'UNet',
  vae_decoder: 'Latents to picture',
  safety_checker: 'Safety checker',
};

/** @type {Record<import('../types.js').Device, string>} */
const DEVICES = {
  'webnn-gpu': 'WebNN · GPU',
  'webnn-npu': 'WebNN · NPU',
  'webnn-cpu': 'WebNN · CPU',
  webgpu: 'WebGPU',
  wasm: 'WASM · CPU',
};

/** @param {string} name */
export const component = (name) => COMPONENTS[name] ?? name;

/** @param {import('../types.js').Device} device */
export const device = (device) => DEVICES[device];

/** @param {number} count */
export function bytes(count) {
  if (count < 1e6) return `${(count / 1e3).toFixed(0)} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB` : `${(count / 1e9).toFixed(2)} GB`;
}

/** @param {number} count */
export function seconds(count) {
  if (count < 1) return `${Math.round(count * 1000)} ms`;
  return count < 60 ? `${count.toFixed(1)} s` : `${Math.floor(count / 60)} min ${Math.round(count % 60)} s`;
}

/**
 * What a component is doing.
 *
 * @param {Exclude<import('../types.js').TurboEvent, {kind: 'preview'}>} event
 */
export function doing(event) {
  if (event.kind === 'download') {
    const { received, total, cached } = event;
    if (cached && received === total) return `${bytes(total)}, kept here`;
    return `${cached ? 'checking ' : ''}${bytes(received)} of ${bytes(total)}`;
  }
  if (event.kind === 'load')
    return event.of > 1 ? `building graph ${event.graph} of ${event.of}` : `building, ${bytes(event.bytes)}`;
  if (event.done === event.of) return 'done';
  return event.of > 1 ? `step ${event.done + 1} of ${event.of}` : 'running';
}
