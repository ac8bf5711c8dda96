// A drawing as a file: a PNG that carries what it was drawn from.
import { withText } from './png.mjs';

const NAME_LENGTH = 60;

/**
 * @param {ImageData} image
 * @param {import('../types.js').DrawRequest} request
 * @param {import('../types.js').TurboPipeline} pipeline
 */
export async function pngOf(image, request, pipeline) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return withText(await canvas.convertToBlob({ type: 'image/png' }), 'parameters', parameters(request, pipeline));
}

/**
 * In the form that most tools read: the prompt, then a line of names and values.
 *
 * @param {import('../types.js').DrawRequest} request
 * @param {import('../types.js').TurboPipeline} pipeline
 */
function parameters({ prompt, steps, seed, image, strength }, { manifest, choice }) {
  const { source, size, precision } = manifest;
  const from = image ? `, Denoising strength: ${strength}` : '';
  const model = `Model: ${source.name}, Precision: ${precision}, Device: ${choice.device}, Version: turbo-webnn`;
  return `${prompt}\nSteps: ${steps}, Seed: ${seed}, Size: ${size.width}x${size.height}${from}, ${model}`;
}

/** @param {import('./gallery.mjs').Picture} picture */
export function download({ png, prompt, seed }) {
  const words = prompt
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .slice(0, NAME_LENGTH);
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(png) });
  link.download = `${words || 'picture'}-${seed}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
