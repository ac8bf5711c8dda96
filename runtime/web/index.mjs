// The package's entry: what is public, held to its declared types.
import { TurboPipeline as Pipeline } from './pipeline.mjs';

/** @type {import('./types.js').TurboPipelineClass} */
export const TurboPipeline = Pipeline;
