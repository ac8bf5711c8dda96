// node driver.mjs EXECUTABLE [FLAG…]: a real Chromium for tests. One job a line on stdin, one answer a line on stdout.
//
// { do: 'open', url, fresh }             a page, in a profile of its own where `fresh`, else beside those before
// { do: 'call', name, argument }         what that function of in_page.mjs returns there
// { do: 'fill', selector, text } { do: 'click', selector } { do: 'press', key } { do: 'choose', selector, file }
// { do: 'text', selector }               of the first such element that is to be seen, waited for
// { do: 'download', selector, file }     clicks it, and writes what the page then saves
// { do: 'screenshot', file, size, scheme }, { do: 'quota', bytes }, { do: 'errors' }
import readline from 'node:readline';
import { chromium } from 'playwright-core';

const ARGUMENTS = ['--disable-gpu-watchdog', '--no-first-run', '--disable-background-networking'];
const [executablePath, ...flags] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: [...ARGUMENTS, ...flags] });
let context = null;
let page = null;
let errors = [];

const jobs = {
  async open({ url, fresh }) {
    if (fresh) await context?.close();
    if (fresh || !context) context = await browser.newContext();
    await page?.close().catch(() => {});
    page = await context.newPage();
    errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) errors.push(message.text());
    });
    await page.goto(url);
  },
  call: ({ name, argument }) =>
    page.evaluate(
      async ([name, argument]) => (await import('/test/in_page.mjs'))[name](argument),
      [name, argument ?? null],
    ),
  async screenshot({ file, size, scheme }) {
    if (size) await page.setViewportSize({ width: size[0], height: size[1] });
    if (scheme) await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: file, fullPage: false });
  },
  fill: ({ selector, text }) => page.fill(selector, text),
  click: ({ selector }) => page.click(selector),
  press: ({ key }) => page.keyboard.press(key),
  choose: ({ selector, file }) => page.setInputFiles(selector, file),
  text: ({ selector }) => page.locator(`${selector}:visible`).first().innerText({ timeout: 120_000 }),
  async download({ selector, file }) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click(selector)]);
    await download.saveAs(file);
  },
  async quota({ bytes }) {
    const session = await context.newCDPSession(page);
    const origin = new URL(page.url()).origin;
    await session.send('Storage.overrideQuotaForOrigin', bytes === null ? { origin } : { origin, quotaSize: bytes });
  },
  errors: () => errors,
};

const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
answer({ ready: browser.version() });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  try {
    answer({ value: (await jobs[job.do](job)) ?? null });
  } catch (error) {
    answer({ error: error.message });
  }
}
await browser.close();
