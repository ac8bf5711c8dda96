// A static server on the loopback address: cross-origin isolated, with byte ranges, and with PUT for results.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream';

const TYPES = { '.html': 'text/html', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

// routes: Map from a URL path to the file that a GET reads. puts: Map from a URL path to the file that a PUT writes.
// The server refuses all other paths, and requests with another Host header: a foreign page sends one if its name
// resolves to this address (DNS rebinding). Resolves to { origin, close() }.
export async function serve(routes, puts) {
  const server = http.createServer((request, response) => {
    const [pathname] = request.url.split('?');
    if (request.headers.host !== `127.0.0.1:${server.address().port}`) {
      response.writeHead(421, ISOLATED).end();
    } else if (request.method === 'PUT' && puts.has(pathname)) {
      pipeline(request, fs.createWriteStream(puts.get(pathname)), (error) => response.writeHead(error ? 500 : 204).end());
    } else if (request.method === 'GET' && routes.has(pathname)) {
      send(routes.get(pathname), request.headers.range, response);
    } else {
      response.writeHead(404, ISOLATED).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, close };
}

function send(file, range, response) {
  const size = fs.statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined) {
    response.writeHead(404, ISOLATED).end();
    return;
  }
  const headers = { ...ISOLATED, 'Accept-Ranges': 'bytes', 'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream' };
  const bounds = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  const start = bounds ? Number(bounds[1]) : 0;
  const end = bounds?.[2] ? Math.min(Number(bounds[2]), size - 1) : size - 1;
  if (bounds && start > end) {
    response.writeHead(416, { ...headers, 'Content-Range': `bytes */${size}` }).end();
    return;
  }
  if (bounds) headers['Content-Range'] = `bytes ${start}-${end}/${size}`;
  response.writeHead(bounds ? 206 : 200, { ...headers, 'Content-Length': end - start + 1 });
  if (size === 0) response.end();
  // a client may close the connection early, which is no error
  else pipeline(fs.createReadStream(file, { start, end, highWaterMark: 1 << 20 }), response, () => {});
}
