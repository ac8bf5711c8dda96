// The picture's place: seeded noise before there is one, then the picture as it grows.
import { NoiseSource } from '../noise.mjs';

const SMALL = 256; // pictures below it are shown pixel by pixel, not blurred

export class Stage {
  #canvas;
  #caption;
  #brush;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} caption
   */
  constructor(canvas, caption) {
    this.#canvas = canvas;
    this.#caption = caption;
    this.#brush = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  }

  /**
   * The latents that a drawing of `seed` begins with: three of four channels as colours.
   *
   * @param {import('../types.js').Manifest['size']} size
   * @param {bigint} seed
   */
  showNoise({ latent_width, latent_height }, seed) {
    const count = latent_width * latent_height;
    const noise = new NoiseSource(seed).normal(4 * count);
    const image = new ImageData(latent_width, latent_height);
    for (let i = 0; i < count; i++) {
      for (let colour = 0; colour < 3; colour++) image.data[4 * i + colour] = 128 + 52 * noise[colour * count + i];
      image.data[4 * i + 3] = 255;
    }
    this.#put(image);
    this.#canvas.classList.add('noise');
    this.#say(`The noise of seed ${seed}`, 'Noise: no picture yet');
  }

  /** @param {string} caption */
  set caption(caption) {
    this.#caption.textContent = caption;
  }

  /** @param {boolean} working */
  set working(working) {
    this.#canvas.classList.toggle('working', working);
  }

  /**
   * @param {ImageData} image
   * @param {string} caption
   * @param {string} description for who does not see it
   */
  show(image, caption, description) {
    this.#put(image);
    this.#canvas.classList.remove('noise');
    this.#canvas.classList.toggle('small', image.width < SMALL);
    this.#say(caption, description);
  }

  /**
   * @param {string} caption
   * @param {string} description
   */
  #say(caption, description) {
    this.#caption.textContent = caption;
    this.#canvas.setAttribute('aria-label', description);
  }

  /** @param {ImageData} image */
  #put(image) {
    this.#canvas.width = image.width;
    this.#canvas.height = image.height;
    this.#canvas.parentElement?.style.setProperty('--ratio', String(image.width / image.height));
    this.#brush.putImageData(image, 0, 0);
  }
}
