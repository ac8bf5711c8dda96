// Tokenizes prompts with the tokenizer library of transformers.js.
import { TurboError, firstLine } from './errors.mjs';

/** A tokenizer of a bundle, with the length and the padding that the manifest states. */
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
    const readJson = (/** @type {string} */ suffix) => {
      const path = entry.files.map((file) => file.path).find((path) => path.endsWith(`/${suffix}`));
      if (!path) throw new TurboError('bundle', `${name} has no ${suffix}`, 'export it anew');
      return files[path].text().then(JSON.parse);
    };
    try {
      const [tokenizer, config] = await Promise.all([readJson('tokenizer.json'), readJson('tokenizer_config.json')]);
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
   * Tokenize `prompt`: the ids, cut or padded to the manifest's length, and the words that do not fit.
   *
   * @param {string} prompt
   * @returns {{ids: Int32Array, cut: string}}
   */
  encode(prompt) {
    const { length, pad_id } = this.#entry;
    const allIds = this.#tokenizer.encode(prompt).ids.map(Number);
    const isCut = allIds.length > length;
    const ids = new Int32Array(length).fill(pad_id);
    ids.set(isCut ? [...allIds.slice(0, length - 1), allIds[allIds.length - 1]] : allIds);
    return { ids, cut: isCut ? this.#cut(prompt) : '' };
  }

  /**
   * The end of `prompt`, from the first word that does not fit completely. Each word is encoded separately, as in
   * CLIP's tokenizer.
   *
   * @param {string} prompt
   */
  #cut(prompt) {
    let room = this.#entry.length - 2; // the start token and the end token take two places
    for (const word of prompt.matchAll(/\P{White_Space}+/gu)) {
      room -= this.#tokenizer.encode(word[0], { add_special_tokens: false }).ids.length;
      if (room < 0) return prompt.slice(word.index);
    }
    return '';
  }
}
