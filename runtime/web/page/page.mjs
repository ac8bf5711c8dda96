// The page: a form in front of a TurboPipeline.
import { smallestStrength } from '../schedule.mjs';
import { TurboPipeline } from '../index.mjs';
import { showDevices } from './devices.mjs';
import { element, tell } from './elements.mjs';
import { Gallery } from './gallery.mjs';
import { Picker } from './picker.mjs';
import { ProgressTable } from './progress.mjs';
import { download, pngOf } from './save.mjs';
import { Stage } from './stage.mjs';
import * as words from './words.mjs';

const SMALL_ENOUGH = 256 * 256; // pixels that even a CPU decodes once a step without making people wait

const form = element('form', HTMLFormElement);
const prompt = element('prompt', HTMLTextAreaElement);
const seed = element('seed', HTMLInputElement);
const strength = element('strength', HTMLInputElement);
const previews = element('previews', HTMLInputElement);
const device = element('device', HTMLSelectElement);
const draw = element('draw', HTMLButtonElement);
const stop = element('stop', HTMLButtonElement);
const stage = new Stage(element('canvas', HTMLCanvasElement), element('caption', HTMLElement));
const progress = new ProgressTable(element('rows', HTMLElement), element('total', HTMLElement));
const picker = new Picker(
  element('drop', HTMLElement),
  element('file', HTMLInputElement),
  element('thumbnail', HTMLImageElement),
  showStart,
);
const gallery = new Gallery(element('gallery', HTMLElement), show);

/** @type {import('../types.js').TurboPipeline | null} */
let pipeline = null;
/** @type {AbortController | null} */
let drawing = null;
/** @type {import('./gallery.mjs').Picture | null} */
let shown = null;

/** @param {import('../types.js').Device} [wished] */
async function open(wished) {
  draw.disabled = true;
  pipeline?.release();
  try {
    pipeline = await TurboPipeline.open('/bundle/', wished && { device: wished });
  } catch (error) {
    return fail(error);
  }
  const { manifest, choice } = pipeline;
  describe(manifest);
  await showDevices(manifest, choice);
  const { width, height } = manifest.size;
  previews.checked = width * height <= SMALL_ENOUGH;
  showStart();
  if (!shown) showNoise();
  await showKept();
  draw.disabled = false;
}

/** @param {import('../types.js').Manifest} manifest */
function describe({ source, size, precision, schedules, components }) {
  const { width, height } = size;
  const total = Object.values(components)
    .flatMap(({ graphs }) => graphs.flatMap(({ files }) => files))
    .reduce((sum, { bytes }) => sum + bytes, 0);
  element('bundle', HTMLElement).textContent =
    `${source.name} · ${width}×${height} · ${precision} · ${words.bytes(total)}`;
  const steps = element('steps', HTMLElement);
  if (steps.childElementCount) return;
  const counts = Object.keys(schedules);
  steps.replaceChildren(...counts.map((count, i) => radio('steps', count, i === Math.min(1, counts.length - 1))));
}

/**
 * @param {string} name
 * @param {string} value
 * @param {boolean} checked
 */
function radio(name, value, checked) {
  const label = document.createElement('label');
  const input = Object.assign(document.createElement('input'), { type: 'radio', name, value, checked });
  label.append(input, value);
  return label;
}

function steps() {
  return Number(new FormData(form).get('steps'));
}

function showNoise() {
  const fits = /^\d+$/.test(seed.value) && BigInt(seed.value) < 2n ** 64n;
  seed.setCustomValidity(fits ? '' : 'A whole number below 2⁶⁴');
  if (pipeline && fits && !drawing) stage.showNoise(pipeline.manifest.size, BigInt(seed.value));
  if (!drawing) element('actions', HTMLElement).hidden = true;
}

function showStart() {
  const from = Boolean(picker.picture);
  element('strength-row', HTMLElement).hidden = !from;
  element('hint', HTMLElement).hidden = from;
  strength.min = String(smallestStrength(steps() || 1));
  element('strength-out', HTMLOutputElement).value = `${Math.round(Number(strength.value) * 100)} %`;
}

/** @param {SubmitEvent} event */
async function submitted(event) {
  event.preventDefault();
  if (!pipeline || drawing) return;
  drawing = new AbortController();
  setWorking(true);
  await navigator.storage.persist(); // so that the browser does not clear gigabytes away by itself
  const { signal } = drawing;
  const request = {
    prompt: prompt.value.trim(),
    steps: steps(),
    seed: BigInt(seed.value),
    image: picker.picture ?? undefined,
    strength: Number(strength.value),
    previews: previews.checked,
  };
  const encoders = Object.values(pipeline.manifest.tokenizers).map(({ text_encoder }) => text_encoder);
  const { components, wiring } = pipeline.manifest;
  const checker = wiring.checker && components[wiring.checker] ? [wiring.checker] : [];
  const encoder = request.image && wiring.encoder ? [wiring.encoder] : [];
  progress.start([...encoders, ...encoder, wiring.denoiser, wiring.decoder, ...checker]);
  if (!shown && !request.image) showNoise();
  try {
    const drawn = await pipeline.draw({ ...request, signal, onEvent: heard });
    progress.finish(drawn);
    const cut = drawn.promptCut && ` · left out: ${drawn.promptCut}`;
    for (const [index, image] of drawn.images.entries()) {
      await keep(image, request, drawn.flagged[index] ? ' · the safety checker refused it' : cut);
    }
  } catch (error) {
    progress.fail();
    fail(error);
  } finally {
    await showKept().catch(fail);
    drawing = null;
    setWorking(false);
  }
}

/** @param {import('../types.js').TurboEvent} event */
function heard(event) {
  progress.show(event);
  if (event.kind === 'preview') stage.show(event.images[0], '', 'The picture, not finished');
  else stage.caption = `${words.component(event.name)} · ${words.doing(event)}`;
}

/** @param {boolean} working */
function setWorking(working) {
  stage.working = working;
  draw.disabled = working;
  draw.textContent = working ? 'Drawing…' : 'Draw';
  stop.hidden = !working;
  if (!working) return;
  tell(element('error', HTMLElement), '', '');
  element('lacking', HTMLElement).textContent = '';
  element('work', HTMLElement).hidden = false;
  element('canvas', HTMLCanvasElement).scrollIntoView({ block: 'nearest' });
  element('actions', HTMLElement).hidden = true;
}

/**
 * @param {ImageData} image
 * @param {import('../types.js').DrawRequest} request
 * @param {string} remark to its caption
 */
async function keep(image, request, remark) {
  if (!pipeline) return;
  const png = await pngOf(image, request, pipeline);
  const caption = `Seed ${request.seed} · ${request.steps} step${request.steps === 1 ? '' : 's'}${remark}`;
  const picture = { image, png, caption, prompt: request.prompt, seed: BigInt(request.seed ?? 0) };
  gallery.add(picture);
  show(picture);
}

/** @param {import('./gallery.mjs').Picture} picture */
function show(picture) {
  shown = picture;
  stage.show(picture.image, picture.caption, picture.prompt);
  element('actions', HTMLElement).hidden = false;
}

/** @param {unknown} error */
function fail(error) {
  const { code, message } = /** @type {import('../types.js').TurboError} */ (error);
  if (code === 'aborted') return;
  const [wrong, ...right] = String(message).split('; ');
  tell(element('error', HTMLElement), wrong, right.join('; '));
  if (shown) show(shown);
  else stage.caption = '';
}

/** What is to be fetched before the next drawing, and what is kept for it. */
async function showKept() {
  const lacking = (await pipeline?.lacking({ fromImage: Boolean(picker.picture) })) ?? 0;
  element('lacking', HTMLElement).textContent = lacking ? `${words.bytes(lacking)} to fetch first, once` : '';
  const { usage = 0 } = await navigator.storage.estimate();
  element('kept-bytes', HTMLElement).textContent = `${words.bytes(usage)} kept in this browser.`;
  element('kept', HTMLElement).hidden = usage < 1e5;
}

form.addEventListener('submit', submitted);
form.addEventListener('input', showStart);
prompt.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
seed.addEventListener('input', showNoise);
element('dice', HTMLButtonElement).addEventListener('click', () => {
  seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
  showNoise();
});
stop.addEventListener('click', () => drawing?.abort());
document.addEventListener('keydown', (event) => event.key === 'Escape' && drawing?.abort());
device.addEventListener('change', () => open(/** @type {import('../types.js').Device} */ (device.value)));
element('forget', HTMLButtonElement).addEventListener('click', () => picker.set(null));
element('reuse', HTMLButtonElement).addEventListener('click', () => shown && picker.set(shown.png));
element('download', HTMLButtonElement).addEventListener('click', () => shown && download(shown));
element('clear', HTMLButtonElement).addEventListener('click', async () => {
  pipeline?.release();
  await TurboPipeline.clearCache();
  await showKept();
});

await open();
