// Opens a page at the width of a phone and of a desk, in the light and in the dark, and says what is to be seen.
// node look.mjs EXECUTABLE URL → one JSON object on stdout, a view each: see `look` below.
import { chromium } from 'playwright-core';

const [executablePath, url] = process.argv.slice(2);
const VIEWS = { desk: [1200, 'light'], night: [1200, 'dark'], phone: [360, 'light'] };

// WCAG 2: the contrast of a text with what is behind it, from the relative luminances of the two.
function look() {
  const rgba = (colour) => {
    const parts = colour.match(/[\d.]+/g).map(Number);
    return parts.length > 3 ? parts : [...parts, 1];
  };
  const linear = (part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (colour) => {
    const [r, g, b] = rgba(colour).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const paper = getComputedStyle(each).backgroundColor;
      if (rgba(paper)[3] === 1) return paper;
    }
    return 'rgb(255, 255, 255)';
  };
  const contrast = (element) => {
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [luminance(ink), luminance(behind(element))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const all = (query) => [...document.querySelectorAll(query)];
  const written = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const texts = all('body *').filter((e) => written(e) && (!(e instanceof SVGElement) || e.tagName === 'text'));
  return {
    title: document.title,
    paper: getComputedStyle(document.body).backgroundColor,
    overflow: document.documentElement.scrollWidth - innerWidth,
    headings: all('h2').map((e) => e.innerText),
    badges: all('h1 .badge').map((e) => e.innerText),
    unlabelled: all('img:not([alt]), svg:not([aria-label]):not([aria-hidden]), th:not([scope])').length,
    pictures: all('img').map((e) => [e.naturalWidth, e.naturalHeight]),
    marks: all('circle, rect').filter((e) => e.getBoundingClientRect().width > 0).length,
    prompts: all('.comparison h3').map((e) => e.innerText),
    scripts: document.scripts.length,
    contrast: Math.min(...texts.map(contrast)),
  };
}

const browser = await chromium.launch({ executablePath, args: ['--disable-gpu'] });
const seen = {};
for (const [name, [width, colorScheme]] of Object.entries(VIEWS)) {
  const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
  const told = [];
  const asked = [];
  page.on('console', (message) => told.push(message.text()));
  page.on('pageerror', (error) => told.push(error.message));
  page.on('request', (request) => request.url().startsWith('data:') || asked.push(request.url()));
  await page.goto(url, { waitUntil: 'load' });
  await page.evaluate(() => Promise.all([...document.images].map((image) => ((image.loading = 'eager'), image.decode()))));
  seen[name] = { ...(await page.evaluate(look)), told, asked };
}
await browser.close();
process.stdout.write(JSON.stringify(seen));
