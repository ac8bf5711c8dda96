// Reads the manifest of a bundle: everything that a consumer needs and that the graphs do not contain.
import { TurboError, firstLine } from './errors.mjs';
import { filesOf } from './artifacts.mjs';

const FORMAT = 2;
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Read the manifest of the bundle at `base`. It is revalidated with the server each time, because only the files that
 * it names by sha256 can be kept.
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
  const manifest = await response.json().catch(() => null);
  if (manifest?.format !== FORMAT) {
    const right = manifest?.format > FORMAT ? 'update the page' : 'export it anew';
    throw new TurboError('bundle', `${url} has format ${manifest?.format}, this reads ${FORMAT}`, right);
  }
  requireFiles(manifest, url);
  return manifest;
}

/**
 * Require that all files of the manifest are in the folder of the bundle, and have a valid sha256 and size.
 *
 * @param {import('./types.js').Manifest} manifest
 * @param {URL} url
 */
function requireFiles({ components, tokenizers }, url) {
  for (const { path, bytes, sha256 } of namedFiles(components, tokenizers, url)) {
    if (!isPlain(path)) throw refused(url, `the path ${JSON.stringify(path)} is not a plain relative one`);
    if (typeof sha256 !== 'string' || !SHA256.test(sha256))
      throw refused(url, `the sha256 of ${path} is not 64 hexadecimal digits`, path);
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw refused(url, `the size of ${path} is no number of bytes`, path);
  }
}

/**
 * @param {import('./types.js').Manifest['components']} components
 * @param {import('./types.js').Manifest['tokenizers']} tokenizers
 * @param {URL} url
 */
function namedFiles(components, tokenizers, url) {
  const entries = [components, tokenizers].flatMap((group) =>
    group instanceof Object ? Object.values(group) : [null],
  );
  const files = entries.flatMap((entry) => (entry instanceof Object ? listed(entry) : [null]));
  if (files.every((file) => file instanceof Object)) return files;
  throw refused(url, 'its components or tokenizers have no files');
}

/**
 * The files of `entry`; null where it has no list of files.
 *
 * @param {import('./artifacts.mjs').Entry} entry
 */
function listed(entry) {
  try {
    return filesOf(entry);
  } catch {
    return null;
  }
}

/**
 * Whether `path` names a file in the bundle's folder, and has the same meaning in a URL.
 *
 * @param {unknown} path
 */
function isPlain(path) {
  if (typeof path !== 'string' || /[\\:?#%\p{Cc}]/u.test(path)) return false;
  return path.split('/').every((part) => !['', '.', '..'].includes(part));
}

/**
 * @param {URL} url
 * @param {string} wrong
 * @param {string} [file]
 */
function refused(url, wrong, file) {
  return new TurboError('bundle', `${url}: ${wrong}`, 'export it anew', file);
}
