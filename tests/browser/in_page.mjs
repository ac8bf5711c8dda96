// What tests do inside the page. Each function takes and returns JSON.
import { TurboPipeline } from '/index.mjs';

let pipeline = null;

const told = (error) => ({ error: { code: error.code ?? null, message: error.message, file: error.file ?? null } });
const bytesOf = (image) => [...image.data];

// { device, cache, keepBytes, limit } → { device, passedOver } or { error }
export async function open(options) {
  pipeline?.release();
  try {
    pipeline = await TurboPipeline.open('/bundle/', options);
    return pipeline.choice;
  } catch (error) {
    return told(error);
  }
}

// { prompt, steps, seed, strength, previews, pixels: [width, height, rgba…] } → { pixels, promptCut, timings, events } or { error }
export async function draw({ picture, ...request }) {
  const events = [];
  try {
    const image = picture && new ImageData(new Uint8ClampedArray(picture.rgba), picture.width, picture.height);
    const onEvent = (event) => events.push(event);
    const drawn = await pipeline.draw({ ...request, image, onEvent });
    return { ...drawn, images: drawn.images.map(bytesOf), events: events.map(withoutPixels) };
  } catch (error) {
    return { ...told(error), events: events.map(withoutPixels) };
  }
}

const withoutPixels = ({ images, ...event }) => (images ? { ...event, pixels: bytesOf(images[0]) } : event);
