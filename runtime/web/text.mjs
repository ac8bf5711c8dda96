// Prompts to token ids, with the tokenizer that transformers.js is built on.
import { TurboError, firstLine } from './errors.mjs';

/** One of a bundle's tokenizers, with the length and the padding that its manifest states. */
export class PromptTokenizer {
  #tokenizer;
  #entry;

  /**
   * @param {typeof import('@huggingface/tokenizers')} library
   * @param {string} name
   * @param {import('./types.js').Tokenizer} entry
   * @param {Record<string, Blob>} files by path: tokenizer.json, tokenizer_config.json
   */
  static async read(library, name, entry, files) {
    const held = (/** @type {string} */ suffix) => {
      const path = entry.files.map((file) => file.path).find((path) => path.endsWith(`/${suffix}`));
      if (!path) throw new TurboError('bundle', `${name} has no ${suffix}`, 'export it anew');
      return files[path].text().then(JSON.parse);
    };
    try {
      const [tokenizer, config] = await Promise.all([held('tokenizer.json'), held('tokenizer_config.json')]);
      return new PromptTokenizer(new library.Tokenizer(tokenizer, config), entry);
    } catch (error) {
      if (error instanceof TurboError) throw error;
      throw new TurboError('bundle', `${name} is not a tokenizer (${firstLine(error)})`, 'export it anew');
    }
  }

  /**
   * @param {import('@huggingface/tokenizers').Tokenizer} tokenizer
   * @param {import('./types.js').Tokenizer} entry
   */
  constructor(tokenizer, entry) {
    this.#tokenizer = tokenizer;
    this.#entry = entry;
  }

  /**
   * The ids of `prompt`, cut or padded to the manifest's length, and the words that did not fit.
   *
   * @param {string} prompt
   * @returns {{ids: Int32Array, cut: string}}
   */
  encode(prompt) {
    const { length, pad_id } = this.#entry;
    const whole = this.#tokenizer.encode(prompt).ids.map(Number);
    const kept = whole.length > length ? [...whole.slice(0, length - 1), whole[whole.length - 1]] : whole;
    const ids = new Int32Array(length).fill(pad_id);
    ids.set(kept);
    return { ids, cut: whole.length > length ? this.#cut(prompt) : '' };
  }

  /**
   * The end of `prompt`, from the first word that does not fit whole. Words are encoded each on its own, as CLIP's
   * tokenizer does.
   *
   * @param {string} prompt
   */
  #cut(prompt) {
    let room = this.#entry.length - 2; // start and end take two places
    for (const word of prompt.matchAll(/\S+/g)) {
      room -= this.#tokenizer.encode(word[0], { add_special_tokens: false }).ids.length;
      if (room < 0) return prompt.slice(word.index);
    }
    return '';
  }
}
