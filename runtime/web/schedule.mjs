// Schedules of the manifest. They contain all numbers of a sampler, so a consumer needs no scheduler.
import { TurboError } from './errors.mjs';

/**
 * The schedule of `steps` steps.
 *
 * @param {import('./types.js').Manifest} manifest
 * @param {number} steps
 */
export function plan(manifest, steps) {
  const schedule = manifest.schedules[String(steps)];
  if (!schedule) {
    const available = Object.keys(manifest.schedules).join(', ');
    throw new TurboError('request', `there is no schedule of ${steps} steps`, `there are ${available}`);
  }
  return schedule;
}

/**
 * The index of the first step of an image-to-image run, which has `int(steps·strength)` steps (as get_timesteps of
 * diffusers).
 *
 * @param {import('./types.js').Schedule} schedule
 * @param {number} strength above 0 and at most 1
 */
export function entry(schedule, strength) {
  const steps = schedule.steps.length;
  if (!(strength > 0 && strength <= 1)) {
    throw new TurboError(
      'request',
      `strength ${strength} is not above 0 and at most 1`,
      '0.5 keeps half of the picture',
    );
  }
  const left = Math.min(Math.trunc(steps * strength), steps);
  if (left === 0) {
    const wrong = `${steps} steps × strength ${strength} is below 1, so no step would run`;
    throw new TurboError('request', wrong, `for ${steps} steps the smallest strength is ${smallestStrength(steps)}`);
  }
  return steps - left;
}

/**
 * The smallest strength that leaves a step to run, in hundredths, rounded up: 0.34 for 3 steps.
 *
 * @param {number} steps
 */
export function smallestStrength(steps) {
  return Math.ceil(100 / steps) / 100;
}
