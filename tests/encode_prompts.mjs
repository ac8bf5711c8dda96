// Encodes prompts as pages do. Standard input: { library, text, prompts, bundles: [{ folder, name, entry }] }.
// Standard output, by bundle: [{ whole, fixed }] with the ids that the library gives, and the ids of the browser module,
// cut and padded. Fails where a pattern of tokenizer.json is not JavaScript as it is.
import { readFileSync } from 'node:fs';

const { library, text, prompts, bundles } = JSON.parse(readFileSync(0, 'utf8'));
const tokenizers = await import(library);
const { PromptTokenizer } = await import(text);

async function encode({ folder, name, entry }) {
  const files = Object.fromEntries(entry.files.map(({ path }) => [path, new Blob([readFileSync(`${folder}/${path}`)])]));
  const [tokenizer, config] = ['tokenizer', 'tokenizer_config'].map((file) =>
    JSON.parse(readFileSync(`${folder}/${name}/${file}.json`, 'utf8')),
  );
  // older releases of transformers.js compile the patterns as they are
  JSON.stringify(tokenizer, (key, value) => (key === 'Regex' ? new RegExp(value, 'gu').source : value));
  const page = new tokenizers.Tokenizer(tokenizer, config);
  const module = await PromptTokenizer.read(tokenizers, name, entry, files);
  return {
    whole: prompts.map((prompt) => page.encode(prompt).ids),
    fixed: prompts.map((prompt) => [...module.encode(prompt).ids]),
  };
}

process.stdout.write(JSON.stringify(await Promise.all(bundles.map(encode))));
