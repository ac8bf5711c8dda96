// The one error that users see: a code for programs, one line for people.

/** A drawing that cannot be done. `message` says in one line what is wrong and what would be right. */
export class TurboError extends Error {
  /**
   * @param {import('./types.js').ErrorCode} code
   * @param {string} wrong what is wrong
   * @param {string} [right] what would be right
   * @param {string} [file] the bundle's file that it is about
   */
  constructor(code, wrong, right = '', file = undefined) {
    super((right ? `${wrong}; ${right}` : wrong).replace(/\s+/g, ' ').trim());
    this.name = 'TurboError';
    this.code = code;
    this.file = file;
  }

  /**
   * What of an error crosses to another thread.
   *
   * @param {unknown} error
   * @returns {import('./types.js').ErrorTold}
   */
  static told(error) {
    if (error instanceof TurboError) return { code: error.code, message: error.message, file: error.file };
    const thrown = /** @type {{message?: unknown} | null | undefined} */ (error);
    return { code: 'internal', message: String(thrown?.message ?? error), file: undefined };
  }

  /** @param {import('./types.js').ErrorTold} told */
  static from(told) {
    return new TurboError(told.code, told.message, '', told.file);
  }
}

/**
 * The first line of what a library threw.
 *
 * @param {unknown} error
 */
export function firstLine(error) {
  return TurboError.told(error).message.trim().split('\n')[0];
}
