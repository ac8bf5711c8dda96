// A picture to start from: dropped anywhere, pasted, chosen, or the one on the stage.

export class Picker {
  #drop;
  #thumbnail;
  #onChange;
  /** @type {Blob | null} */
  picture = null;

  /**
   * @param {HTMLElement} drop
   * @param {HTMLInputElement} input
   * @param {HTMLImageElement} thumbnail
   * @param {() => void} onChange
   */
  constructor(drop, input, thumbnail, onChange) {
    this.#drop = drop;
    this.#thumbnail = thumbnail;
    this.#onChange = onChange;
    input.addEventListener('change', () => {
      this.#take(input.files);
      input.value = ''; // so that the same file can be chosen again
    });
    document.addEventListener('paste', (event) => this.#take(event.clipboardData?.files));
    document.addEventListener('dragover', (event) => this.#dragged(event, true));
    document.addEventListener('dragleave', (event) => this.#dragged(event, false));
    document.addEventListener('drop', (event) => {
      this.#dragged(event, false);
      this.#take(event.dataTransfer?.files);
    });
  }

  /** @param {Blob | null} picture null for none */
  set(picture) {
    URL.revokeObjectURL(this.#thumbnail.src);
    this.picture = picture;
    this.#thumbnail.hidden = !picture;
    if (picture) this.#thumbnail.src = URL.createObjectURL(picture);
    else this.#thumbnail.removeAttribute('src');
    this.#onChange();
  }

  /** @param {FileList | null | undefined} files */
  #take(files) {
    const picture = [...(files ?? [])].find((file) => file.type.startsWith('image/'));
    if (picture) this.set(picture);
  }

  /**
   * @param {DragEvent} event
   * @param {boolean} over
   */
  #dragged(event, over) {
    event.preventDefault();
    this.#drop.classList.toggle('over', over);
  }
}
