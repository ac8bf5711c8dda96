// The menu of devices: what this browser offers, and why it does not offer the others.
import { TurboPipeline } from '../index.mjs';
import { element, tell } from './elements.mjs';
import * as words from './words.mjs';

/**
 * @param {import('../types.js').Manifest} manifest
 * @param {import('../types.js').Choice} choice
 */
export async function showDevices({ precision }, choice) {
  const offers = await TurboPipeline.devices(precision);
  const menu = element('device', HTMLSelectElement);
  menu.replaceChildren(
    ...offers.map(({ device: name, offered }) => {
      const text = offered ? words.device(name) : `${words.device(name)} — not here`;
      return Object.assign(document.createElement('option'), { value: name, text, disabled: !offered });
    }),
  );
  const missing = offers.filter(({ offered }) => !offered);
  element('missing', HTMLElement).hidden = !missing.length;
  element('reasons', HTMLElement).replaceChildren(
    ...missing.map(({ device: name, reason }) => {
      const textContent = `${words.device(name)}: ${reason}.`;
      return Object.assign(document.createElement('li'), { textContent });
    }),
  );
  menu.value = choice.device;
  const webnn = offers.filter(({ device: name }) => name.startsWith('webnn'));
  const off = webnn.every(({ offered }) => !offered) ? webnn[0].reason : '';
  tell(element('notice', HTMLElement), off && `Drawing without WebNN, on ${words.device(choice.device)}`, off);
}
