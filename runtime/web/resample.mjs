// Resampling as in Pillow (src/libImaging/Resample.c), so that pictures equal those of the Python runtime.

/** @typedef {{data: Uint8Array | Uint8ClampedArray, width: number, height: number}} Rgb three bytes per pixel */
/** @typedef {{support: number, weight: (x: number) => number}} Filter weights of pixels up to `support` away */

/** @type {Filter} */
export const LANCZOS = { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) };

/** Keys' cubic with a = −0.5. @type {Filter} */
export const BICUBIC = {
  support: 2,
  weight(x) {
    const far = Math.abs(x);
    if (far >= 2) return 0;
    return far < 1 ? (1.5 * far - 2.5) * far * far + 1 : ((-0.5 * far + 2.5) * far - 4) * far + 2;
  },
};

/**
 * Scale `picture` to cover `width` by `height`, and crop it around its centre: Pillow's ImageOps.fit.
 *
 * @param {Rgb} picture
 * @param {number} width
 * @param {number} height
 * @param {Filter} filter
 * @returns {Rgb}
 */
export function fit(picture, width, height, filter) {
  const wide = picture.width / picture.height >= width / height;
  const across = wide ? (width / height) * picture.height : picture.width;
  const down = wide ? picture.height : picture.width / (width / height);
  const left = (picture.width - across) / 2;
  const top = (picture.height - down) / 2;
  const narrowed = resampleRows(picture, left, left + across, width, filter);
  return transposed(resampleRows(transposed(narrowed), top, top + down, height, filter));
}

/**
 * Resample each row of `picture` between `from` and `to` to `width` pixels. As in Pillow, the result is rounded to
 * bytes between the two passes.
 *
 * @param {Rgb} picture
 * @param {number} from
 * @param {number} to
 * @param {number} width
 * @param {Filter} filter
 * @returns {Rgb}
 */
function resampleRows(picture, from, to, width, filter) {
  if (from === 0 && to === picture.width && width === picture.width) return picture;
  const windows = Array.from({ length: width }, (_, x) =>
    windowOf(x, from, (to - from) / width, picture.width, filter),
  );
  const data = new Uint8ClampedArray(3 * width * picture.height); // clamps and rounds
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = windows[x];
      for (let colour = 0; colour < 3; colour++) {
        let sum = 0;
        let at = 3 * (y * picture.width + first) + colour;
        for (const weight of weights) {
          sum += weight * picture.data[at];
          at += 3;
        }
        data[3 * (y * width + x) + colour] = sum;
      }
    }
  }
  return { data, width, height: picture.height };
}

/**
 * The source pixels of pixel `x` of a row, and their weights, which sum to 1.
 *
 * @param {number} x
 * @param {number} from
 * @param {number} scale
 * @param {number} size
 * @param {Filter} filter
 */
function windowOf(x, from, scale, size, { support, weight }) {
  const stretch = Math.max(scale, 1);
  const centre = from + (x + 0.5) * scale;
  const first = Math.max(Math.trunc(centre - support * stretch + 0.5), 0);
  const end = Math.min(Math.trunc(centre + support * stretch + 0.5), size);
  const weights = Array.from({ length: end - first }, (_, i) => weight((first + i - centre + 0.5) / stretch));
  const sum = weights.reduce((total, value) => total + value, 0);
  return { first, weights: weights.map((value) => value / sum) };
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * Swap rows and columns.
 *
 * @param {Rgb} picture
 * @returns {Rgb}
 */
function transposed({ data, width, height }) {
  const turned = new Uint8ClampedArray(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let colour = 0; colour < 3; colour++)
        turned[3 * (x * height + y) + colour] = data[3 * (y * width + x) + colour];
    }
  }
  return { data: turned, width: height, height: width };
}
