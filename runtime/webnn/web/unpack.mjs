// node unpack.mjs FOLDER: decompresses the brotli files of @sparticuz/chromium into FOLDER.

import fs from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';

const [folder] = process.argv.slice(2);
const entry = fileURLToPath(import.meta.resolve('@sparticuz/chromium'));
const packed = path.join(entry.slice(0, entry.lastIndexOf('@sparticuz')), '@sparticuz', 'chromium', 'bin');
for (const name of ['chromium', 'swiftshader.tar', 'al2023.tar']) {
  const source = fs.createReadStream(path.join(packed, `${name}.br`));
  await pipeline(source, zlib.createBrotliDecompress(), fs.createWriteStream(path.join(folder, name)));
}
