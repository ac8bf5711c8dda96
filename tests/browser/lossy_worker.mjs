// The worker, its MLContexts within reach: a word on the channel and they are lost, as where a driver restarts.
// (Chromium's LiteRT back end outlives a crash of the GPU process, so that this is the way to lose one for real.)
import '/the_worker.mjs';

const contexts = [];
const create = navigator.ml.createContext.bind(navigator.ml);
navigator.ml.createContext = async (options) => {
  contexts.push(await create(options));
  return contexts[contexts.length - 1];
};
new BroadcastChannel('lose').onmessage = () => contexts.forEach((context) => context.destroy());
