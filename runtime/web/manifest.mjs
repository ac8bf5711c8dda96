// A bundle's manifest: all that a consumer needs and cannot read from the graphs.
import { TurboError, firstLine } from './errors.mjs';
import { filesOf } from './artifacts.mjs';

const FORMAT = 1;

/**
 * The manifest of the bundle at `base`, asked of the server each time: what it names by sha256 is kept.
 *
 * @param {string} base URL of the bundle's folder, ending in a slash
 * @returns {Promise<import('./types.js').Manifest>}
 */
export async function readManifest(base) {
  const url = new URL('manifest.json', base);
  const response = await fetch(url, { cache: 'no-cache' }).catch((error) => {
    throw new TurboError('network', `${url} does not come through (${firstLine(error)})`, 'see to the connection');
  });
  if (!response.ok) {
    const wrong = `${base} is not a bundle: the server says ${response.status} to its manifest.json`;
    throw new TurboError('bundle', wrong, 'give the URL of a bundle that turbo-webnn export has made');
  }
  const held = await response.json().catch(() => null);
  if (held?.format !== FORMAT) {
    const right = held?.format > FORMAT ? 'update the page' : 'export it anew';
    throw new TurboError('bundle', `${url} has format ${held?.format}, this reads ${FORMAT}`, right);
  }
  requireInside(held, url);
  return held;
}

/**
 * @param {import('./types.js').Manifest} manifest
 * @param {URL} url
 */
function requireInside({ components, tokenizers }, url) {
  const files = [...Object.values(components), ...Object.values(tokenizers)].flatMap(filesOf);
  const outside = files.find(({ path }) => !new URL(path, url).href.startsWith(new URL('.', url).href));
  if (outside) throw new TurboError('bundle', `${outside.path} leaves the bundle`, 'export it anew', outside.path);
}
