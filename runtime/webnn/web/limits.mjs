// node limits.mjs BROWSER [cpu|gpu|npu]: prints the table of a browser's WebNN back end, in the form of ../tables/.
//
// BROWSER is the executable of a Chromium-based browser: Chrome, Edge, or the Chromium that the checks unpack.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { serve } from './serve.mjs';

const [executablePath, deviceType = 'cpu'] = process.argv.slice(2);
const pageFile = path.join(path.dirname(fileURLToPath(import.meta.url)), 'page.html');
const server = await serve(new Map([['/page.html', pageFile]]), new Map()); // WebNN needs a secure context
const args = ['--enable-features=WebMachineLearningNeuralNetwork'];
const browser = await chromium.launch({ executablePath, args });
try {
  const page = await browser.newPage();
  await page.goto(`${server.origin}/page.html`);
  const { limits, platform } = await page.evaluate(async (device) => {
    const context = await navigator.ml.createContext({ deviceType: device });
    return { limits: context.opSupportLimits(), platform: navigator.platform };
  }, deviceType);
  const source = `opSupportLimits() of Chromium ${browser.version()}, ${platform}, device type ${deviceType}`;
  process.stdout.write(table(source, limits));
} finally {
  await browser.close();
  server.close();
}

// One operation per line, so that two tables can be compared line by line.
function table(source, limits) {
  const operations = Object.keys(limits).sort();
  const lines = operations.map((name) => `    ${JSON.stringify(name)}: ${JSON.stringify(limits[name])}`);
  return `{\n  "source": ${JSON.stringify(source)},\n  "verdict": true,\n  "limits": {\n${lines.join(',\n')}\n  }\n}\n`;
}
