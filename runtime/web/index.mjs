// The entry of the package: the public names, checked against their declared types.
import { TurboPipeline as Pipeline } from './pipeline.mjs';

/** @type {import('./types.js').TurboPipelineClass} */
export const TurboPipeline = Pipeline;
