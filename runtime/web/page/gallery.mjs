// The pictures drawn since the page was opened, each with what it was drawn from.

const KEPT = 24;

/** @typedef {{image: ImageData, png: Blob, caption: string, prompt: string, seed: bigint}} Picture */

export class Gallery {
  #list;
  #onShow;

  /**
   * @param {HTMLElement} list
   * @param {(picture: Picture) => void} onShow
   */
  constructor(list, onShow) {
    this.#list = list;
    this.#onShow = onShow;
  }

  /** @param {Picture} picture that is on the stage */
  add(picture) {
    const item = document.createElement('li');
    const button = item.appendChild(document.createElement('button'));
    const image = button.appendChild(document.createElement('img'));
    button.type = 'button';
    image.src = URL.createObjectURL(picture.png);
    image.alt = `${picture.prompt}, seed ${picture.seed}`;
    button.addEventListener('click', () => {
      this.#mark(button);
      this.#onShow(picture);
    });
    this.#list.prepend(item);
    this.#mark(button);
    this.#list.hidden = this.#list.childElementCount < 2;
    const oldest = this.#list.children[KEPT];
    if (!oldest) return;
    URL.revokeObjectURL(/** @type {HTMLImageElement} */ (oldest.querySelector('img')).src);
    oldest.remove();
  }

  /** @param {HTMLElement} button */
  #mark(button) {
    for (const other of this.#list.querySelectorAll('[aria-current]')) other.removeAttribute('aria-current');
    button.setAttribute('aria-current', 'true');
  }
}
