// Prepares pictures for the safety checker, and blackens those that it flags: as runtime/draw/safety.py.
import { rgbOf } from './images.mjs';
import { BICUBIC, fit } from './resample.mjs';

// mean and standard deviation of RGB in 0…1 (OpenAI CLIP's preprocessing)
const MEAN = [0.48145466, 0.4578275, 0.40821073];
const DEVIATION = [0.26862954, 0.26130258, 0.27577711];

/**
 * Scale, crop and normalise pictures for CLIP: [batch, 3, side, side].
 *
 * @param {ImageData[]} images
 * @param {number} side
 */
export function clipInput(images, side) {
  const pixels = side * side;
  const input = new Float32Array(3 * pixels * images.length);
  for (const [index, image] of images.entries()) {
    const { data } = fit(rgbOf(image), side, side, BICUBIC);
    for (let colour = 0; colour < 3; colour++) {
      const start = (3 * index + colour) * pixels;
      for (let i = 0; i < pixels; i++)
        input[start + i] = (data[3 * i + colour] / 255 - MEAN[colour]) / DEVIATION[colour];
    }
  }
  return input;
}

/** @param {ImageData} image is made black in place */
export function blacken(image) {
  image.data.fill(0);
  for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
}
