// The error that users see: a code for programs, one line for people.

/** An error of a drawing. `message` says in one line what is wrong and what would be right. */
export class TurboError extends Error {
  /**
   * @param {import('./types.js').ErrorCode} code
   * @param {string} wrong what is wrong
   * @param {string} [right] what would be right
   * @param {string} [file] the file of the bundle that causes the error
   */
  constructor(code, wrong, right = '', file = undefined) {
    super((right ? `${wrong}; ${right}` : wrong).replace(/\s+/g, ' ').trim());
    this.name = 'TurboError';
    this.code = code;
    this.file = file;
  }

  /**
   * The parts of an error that are posted to another thread.
   *
   * @param {unknown} error
   * @returns {import('./types.js').ErrorTold}
   */
  static toMessage(error) {
    if (error instanceof TurboError) return { code: error.code, message: error.message, file: error.file };
    const thrown = /** @type {{message?: unknown} | null | undefined} */ (error);
    return { code: 'internal', message: String(thrown?.message ?? error), file: undefined };
  }

  /** @param {import('./types.js').ErrorTold} message */
  static fromMessage(message) {
    return new TurboError(message.code, message.message, '', message.file);
  }
}

/**
 * The first line of the message of a thrown value.
 *
 * @param {unknown} error
 */
export function firstLine(error) {
  return TurboError.toMessage(error).message.trim().split('\n')[0];
}
