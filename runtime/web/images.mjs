// Conversion between pictures and samples of the VAE, as the manifest's `image` entry describes.
import { LANCZOS, fit } from './resample.mjs';

/**
 * Convert `bitmap` into an input of the VAE encoder: [1, 3, height, width] in −1…1. It is composited over white, scaled
 * to cover the size, and cropped around its centre.
 *
 * @param {ImageBitmap} bitmap
 * @param {{width: number, height: number}} size
 */
export function toSample(bitmap, size) {
  const { data } = fit(onWhite(bitmap), size.width, size.height, LANCZOS);
  const pixels = size.width * size.height;
  const sample = new Float32Array(3 * pixels);
  for (let i = 0; i < pixels; i++) {
    for (let colour = 0; colour < 3; colour++) sample[colour * pixels + i] = data[3 * i + colour] / 127.5 - 1;
  }
  return sample;
}

/** @param {ImageBitmap} bitmap */
function onWhite(bitmap) {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const brush = /** @type {OffscreenCanvasRenderingContext2D} */ (
    canvas.getContext('2d', { willReadFrequently: true })
  );
  brush.fillStyle = 'white';
  brush.fillRect(0, 0, width, height);
  brush.drawImage(bitmap, 0, 0);
  return rgbOf(brush.getImageData(0, 0, width, height));
}

/**
 * The colours of an opaque picture.
 *
 * @param {ImageData} image
 * @returns {import('./resample.mjs').Rgb}
 */
export function rgbOf({ data: rgba, width, height }) {
  const data = new Uint8ClampedArray(3 * width * height);
  for (let i = 0, j = 0; i < rgba.length; i += 4) {
    data[j++] = rgba[i];
    data[j++] = rgba[i + 1];
    data[j++] = rgba[i + 2];
  }
  return { data, width, height };
}

/**
 * Convert the decoder's sample [batch, 3, height, width] in −1…1 to pictures of eight bits.
 *
 * @param {Float32Array} sample
 * @param {{batch: number, width: number, height: number}} size
 * @returns {ImageData[]}
 */
export function toImages(sample, { batch, width, height }) {
  return Array.from({ length: batch }, (_, index) => {
    const image = new ImageData(width, height);
    const pixels = width * height;
    for (let i = 0; i < pixels; i++) {
      for (let colour = 0; colour < 3; colour++) {
        // ImageData clamps and rounds the numbers
        image.data[4 * i + colour] = 255 * (sample[(3 * index + colour) * pixels + i] / 2 + 0.5);
      }
      image.data[4 * i + 3] = 255;
    }
    return image;
  });
}
