// Whether image to image samples the latents of its picture: the counterpart of runtime/draw/posterior.py.
import { TurboError } from './errors.mjs';

/**
 * The adapter of the encoder's latents; undefined where the encoder gives the mean alone.
 *
 * @param {import('./types.js').Manifest} manifest
 */
export function adapterOf({ components, wiring }) {
  const chain = wiring.encoder ? components[wiring.encoder] : undefined;
  return chain && Object.values(chain.adapters)[0];
}

/**
 * Whether the latents of a picture are sampled: as asked, or the manifest's default.
 *
 * @param {import('./types.js').Manifest} manifest
 * @param {boolean | undefined} asked
 */
export function choosePosterior(manifest, asked) {
  const adapter = adapterOf(manifest);
  if (asked && !adapter) {
    const wrong = "this bundle has no variance of a picture's latents to sample with";
    throw new TurboError('request', wrong, 'export with --sample-posterior');
  }
  return asked ?? adapter === 'sample';
}
