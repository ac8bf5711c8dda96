// Seeded noise: the numbers of torch.randn on the CPU, with the same arithmetic as runtime/draw/noise.py.
import { TurboError } from './errors.mjs';

const STATE = 624;
const SHIFT = 397;
const BLOCK = 16; // PyTorch fills draws of at least this many numbers in blocks of this size

/** The Mersenne Twister (Matsumoto and Nishimura, 1998), seeded as its reference code does (init_genrand). */
class Twister {
  /** @param {number} seed 32 bits */
  constructor(seed) {
    this.state = new Uint32Array(STATE);
    this.next = STATE;
    this.state[0] = seed;
    for (let i = 1; i < STATE; i++) {
      const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, before) + i;
    }
  }

  /** 32 random bits. */
  draw() {
    if (this.next === STATE) this.#twist();
    let bits = this.state[this.next++];
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  }

  #twist() {
    const { state } = this;
    for (let i = 0; i < STATE; i++) {
      const mixed = (state[i] & 0x80000000) | (state[(i + 1) % STATE] & 0x7fffffff);
      state[i] = state[(i + SHIFT) % STATE] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }
}

/**
 * A stream of standard normal noise: `torch.randn` with `torch.Generator().manual_seed(seed)`. The numbers equal those
 * of torch within 1e-5, because torch's vectorised logarithm and sine round differently.
 */
export class NoiseSource {
  /** @type {number | null} */
  #spare = null;
  #twister;

  /** @param {number | bigint} seed from 0 to 2⁶⁴ − 1; torch uses its lower 32 bits */
  constructor(seed) {
    if (typeof seed === 'number' && !Number.isSafeInteger(seed)) {
      throw new TurboError('request', `seed ${seed} is no whole number`, 'give a larger one as a BigInt');
    }
    const whole = BigInt(seed);
    if (whole < -(2n ** 63n) || whole >= 2n ** 64n) {
      throw new TurboError('request', `seed ${seed} does not fit 64 bits`, 'give a number from 0 to 2⁶⁴ − 1');
    }
    this.#twister = new Twister(Number(BigInt.asUintN(32, whole)));
  }

  /**
   * Draw `torch.randn(count)`.
   *
   * @param {number} count
   */
  normal(count) {
    if (count < BLOCK) return Float32Array.from({ length: count }, () => this.#one());
    const numbers = this.#uniform24(count);
    const whole = count - (count % BLOCK);
    for (let start = 0; start < whole; start += BLOCK) boxMuller(numbers, start);
    if (whole < count) {
      // for an incomplete block, torch draws the last sixteen numbers again
      numbers.set(this.#uniform24(BLOCK), count - BLOCK);
      boxMuller(numbers, count - BLOCK);
    }
    return numbers;
  }

  /**
   * Draw numbers in [0, 1) of 24 bits, the precision of a float32's mantissa.
   *
   * @param {number} count
   */
  #uniform24(count) {
    return Float32Array.from({ length: count }, () => (this.#twister.draw() & 0xffffff) * 2 ** -24);
  }

  /** Draw a number in [0, 1) of 53 bits, from two outputs of the twister, the high half first. */
  #uniform53() {
    const high = this.#twister.draw() & 0x1fffff;
    return (high * 2 ** 32 + this.#twister.draw()) * 2 ** -53;
  }

  /** Draw one normal number by Box-Muller in double precision. The second number is kept for the next call. */
  #one() {
    if (this.#spare !== null) {
      const spare = this.#spare;
      this.#spare = null;
      return spare;
    }
    const angle = 2 * Math.PI * this.#uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#uniform53()));
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/**
 * Transform sixteen uniform numbers into normal ones, in place. The first eight give radii, the last eight angles.
 *
 * @param {Float32Array} numbers
 * @param {number} start
 */
function boxMuller(numbers, start) {
  const turn = Math.fround(2 * Math.PI);
  for (let i = start; i < start + BLOCK / 2; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - numbers[i])); // 1 − u, because u can be 0
    const angle = Math.fround(turn * numbers[i + BLOCK / 2]);
    numbers[i] = radius * Math.cos(angle);
    numbers[i + BLOCK / 2] = radius * Math.sin(angle);
  }
}
