// The devices that a browser offers, and the choice between them.
import { TurboError } from './errors.mjs';

/** @typedef {import('./types.js').Device} Device */

/** All devices in the default order of preference. @type {readonly Device[]} */
export const DEVICES = ['webnn-gpu', 'webnn-npu', 'webgpu', 'webnn-cpu', 'wasm'];

const WEBNN_OFF =
  'use Chrome or Edge 153 or newer, enable chrome://flags/#web-machine-learning-neural-network ' +
  '(edge://flags in Edge) and restart it';
const WEBGPU_OFF = 'update the browser and the graphics driver, or enable chrome://flags/#enable-unsafe-webgpu';
const INSECURE = 'open the page over https, or on http://localhost or http://127.0.0.1';

/**
 * Whether this browser offers each device, in the order of DEVICES. A WebNN device type is only a preference: a back
 * end without such hardware may run graphs on the CPU, and not all browsers report it.
 *
 * @param {string} precision of the bundle: inputs and outputs are float16 in all precisions except `fp32`
 * @returns {Promise<import('./types.js').Offer[]>}
 */
export async function offers(precision) {
  const reasons = await Promise.all(DEVICES.map((device) => whyNot(device, precision)));
  return DEVICES.map((device, i) => ({ device, offered: !reasons[i], reason: reasons[i] }));
}

/**
 * The first device of `preferred` that is offered, and the skipped devices before it with their reasons.
 *
 * @param {readonly Device[]} preferred
 * @param {import('./types.js').Offer[]} available
 * @returns {import('./types.js').Choice}
 */
export function choose(preferred, available) {
  const inOrder = preferred.map((device) => {
    const offer = available.find((offer) => offer.device === device);
    if (!offer) throw new TurboError('request', `there is no device ${device}`, `there are ${DEVICES.join(', ')}`);
    return offer;
  });
  const at = inOrder.findIndex((offer) => offer.offered);
  if (at < 0) throw new TurboError('device', inOrder.map(({ device, reason }) => `no ${device}: ${reason}`).join('. '));
  return { device: inOrder[at].device, passedOver: inOrder.slice(0, at) };
}

/** @param {Device} device */
export function webnnType(device) {
  return device.startsWith('webnn-') ? /** @type {'cpu' | 'gpu' | 'npu'} */ (device.slice('webnn-'.length)) : null;
}

/**
 * The reason why `device` is not offered, in one line with advice; empty where it is offered.
 *
 * @param {Device} device
 * @param {string} precision
 */
async function whyNot(device, precision) {
  if (device === 'wasm') return '';
  if (!globalThis.isSecureContext) return `this page is not secure, so the browser hides it; ${INSECURE}`;
  const deviceType = webnnType(device);
  return deviceType ? whyNoWebnn(deviceType, precision) : whyNoWebgpu(precision);
}

/**
 * @param {'cpu' | 'gpu' | 'npu'} deviceType
 * @param {string} precision
 */
async function whyNoWebnn(deviceType, precision) {
  if (!navigator.ml) return `this browser has no WebNN, or it is switched off; ${WEBNN_OFF}`;
  try {
    const context = await navigator.ml.createContext({ deviceType });
    const types = context.opSupportLimits().input.dataTypes;
    context.destroy();
    const lacking = ['int32', precision === 'fp32' ? 'float32' : 'float16'].find((type) => !types.includes(type));
    return lacking ? `its WebNN takes no ${lacking}; try another device` : '';
  } catch (error) {
    return `its WebNN has no back end for it (${/** @type {Error} */ (error).message}); try another device or browser`;
  }
}

/** @param {string} precision */
async function whyNoWebgpu(precision) {
  if (!navigator.gpu) return `this browser has no WebGPU; ${WEBGPU_OFF}`;
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) return `this browser's WebGPU has no graphics adapter; ${WEBGPU_OFF}`;
  const narrow = precision === 'fp32' || adapter.features.has('shader-f16');
  return narrow
    ? ''
    : 'its WebGPU has no 16-bit floats (shader-f16); try another device, or export with --precision fp32';
}
