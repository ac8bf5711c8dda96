// The table of components: what each fetches, builds and runs, and how long it takes.
import * as words from './words.mjs';

const TICK_MS = 100;

/** @typedef {{row: HTMLTableRowElement, text: HTMLElement, bar: HTMLElement, time: HTMLElement, since: number}} Line */

export class ProgressTable {
  #rows;
  #total;
  /** @type {Map<string, Line>} */
  #lines = new Map();
  #began = 0;
  #ticking = 0;
  /** The component at work. @type {Line | null} */
  #at = null;

  /**
   * @param {HTMLElement} rows a tbody
   * @param {HTMLElement} total where the whole time is said
   */
  constructor(rows, total) {
    this.#rows = rows;
    this.#total = total;
  }

  /**
   * Begin anew.
   *
   * @param {string[]} components in the order of their work
   */
  start(components) {
    this.#rows.replaceChildren();
    this.#lines = new Map(components.map((name) => [name, this.#line(name)]));
    this.#began = performance.now();
    this.#at = null;
    this.#ticking = window.setInterval(() => this.#tick(), TICK_MS);
  }

  /** @param {import('../types.js').TurboEvent} event */
  show(event) {
    const line = 'name' in event ? this.#lines.get(event.name) : null;
    if (!line || event.kind === 'preview') return;
    if (event.kind === 'download') {
      this.#set(line, 'download', event.received / event.total, words.doing(event));
      return;
    }
    this.#work(line);
    const [state, done] =
      event.kind === 'load' ? ['load', 1] : [event.done === event.of ? 'done' : 'run', event.done / event.of];
    this.#set(line, /** @type {string} */ (state), Number(done), words.doing(event));
  }

  /** @param {import('../types.js').Drawn} drawn */
  finish({ timings }) {
    this.#stop();
    for (const [name, { load, run }] of Object.entries(timings)) {
      const line = this.#lines.get(name);
      if (!line) continue;
      this.#set(line, 'done', 1, load ? `built in ${words.seconds(load)}` : 'was loaded');
      line.time.textContent = words.seconds(run);
    }
    this.#total.textContent = `${words.seconds((performance.now() - this.#began) / 1000)} in all`;
  }

  /** Leave all as it stands. */
  fail() {
    this.#stop();
    if (this.#at) this.#at.row.dataset.state = 'failed';
    this.#total.textContent = '';
  }

  #stop() {
    clearInterval(this.#ticking);
  }

  #tick() {
    if (this.#at) this.#at.time.textContent = words.seconds((performance.now() - this.#at.since) / 1000);
    this.#total.textContent = words.seconds((performance.now() - this.#began) / 1000);
  }

  /** @param {Line} line that is at work from now on */
  #work(line) {
    if (this.#at === line) return;
    this.#at = line;
    line.since = performance.now();
  }

  /**
   * @param {Line} line
   * @param {string} state
   * @param {number} done from 0 to 1
   * @param {string} text
   */
  #set(line, state, done, text) {
    line.row.dataset.state = state;
    line.bar.style.setProperty('--done', String(done));
    line.text.textContent = text;
  }

  /**
   * @param {string} name
   * @returns {Line}
   */
  #line(name) {
    const row = /** @type {HTMLTableRowElement} */ (document.createElement('tr'));
    row.dataset.state = 'waiting';
    const [head, middle, time] = ['th', 'td', 'td'].map((kind) => row.appendChild(document.createElement(kind)));
    head.setAttribute('scope', 'row');
    head.textContent = words.component(name);
    const bar = middle.appendChild(document.createElement('div'));
    bar.className = 'bar';
    bar.append(document.createElement('i'));
    const text = bar.appendChild(document.createElement('span'));
    text.textContent = 'waiting';
    this.#rows.append(row);
    return { row, text, bar, time, since: 0 };
  }
}
