// A bundle's manifest. Written by: python -m turbo_webnn.scripts.schema, from docs/manifest.schema.json.

/**
 * Everything that a consumer of a bundle needs and cannot read from the graphs.
 */
export interface Manifest {
  /**
   * version of the manifest.
   */
  format: 1;
  /**
   * `stable-diffusion` or `stable-diffusion-xl`.
   */
  family: string;
  /**
   * the name of the one that the bundle is laid out in.
   */
  layout: string;
  /**
   * `fp32`, or one whose floats are 16 bits wide at every boundary.
   */
  precision: 'fp16' | 'fp32' | 'q4f16' | 'q8f16';
  size: Size;
  source: Provenance;
  /**
   * the VAE's; the decoder takes latents divided by it, the encoder's mean is multiplied.
   */
  scaling_factor: number;
  /**
   * diffusers' class that the schedules come from.
   */
  scheduler: string;
  /**
   * by number of steps.
   */
  schedules: {
    [k: string]: Schedule;
  };
  /**
   * by name.
   */
  components: {
    [k: string]: Chain;
  };
  /**
   * by folder.
   */
  tokenizers: {
    [k: string]: Tokenizer;
  };
  /**
   * inputs of the UNet that are the same in every run, by name: one row of the batch each.
   */
  conditions: {
    [k: string]: number[];
  };
  /**
   * what else the layout has.
   */
  files: BundleFile[];
  /**
   * whether the VAE's encoder gives the mean of the latents, or mean and deviation.
   */
  vae_encoder_output: 'mean' | 'moments';
  image: Image;
}
/**
 * The one size that a bundle serves: `batch` pictures of `height` by `width` pixels.
 */
export interface Size {
  batch: number;
  height: number;
  width: number;
  /**
   * Rows of latents.
   */
  latent_height: number;
  /**
   * Columns of latents.
   */
  latent_width: number;
}
/**
 * Where a checkpoint comes from; no path, so that two exports give the same bytes.
 */
export interface Provenance {
  /**
   * the licence that its model card states.
   */
  license: string | null;
  /**
   * as the user gave it: a hub id, a folder's name, or an embedded checkpoint's.
   */
  name: string;
  /**
   * the commit on the hub.
   */
  revision: string | null;
  safety_checker?: Provenance;
  vae?: Provenance;
  /**
   * the variant of its weights, such as `fp16`.
   */
  variant: string | null;
  /**
   * by subfolder, the variant that was read there where it is another.
   */
  variants?: {
    [k: string]: string | null;
  };
}
/**
 * The steps of one run from pure noise, which starts as `init_noise_sigma`·noise.
 *
 * Image to image enters at step `first(strength)`, as `latents + sigma·noise` there.
 */
export interface Schedule {
  init_noise_sigma: number;
  /**
   * @minItems 1
   * @maxItems 4
   */
  steps: [Step, ...Step[]];
}
/**
 * One step of sampling, from `sigma` down.
 *
 * With x the latents and eps what the UNet makes of `x / sqrt(sigma² + 1)`:
 * x ← x + (next_sigma − sigma)·eps + noise_scale·noise. This is diffusers' EulerDiscreteScheduler where
 * noise_scale is 0, and its EulerAncestralDiscreteScheduler otherwise.
 */
export interface Step {
  timestep: number;
  sigma: number;
  next_sigma: number;
  noise_scale: number;
}
/**
 * A component: graphs that run one after another, mostly one alone.
 *
 * A graph reads inputs of the component, by their names, and outputs of any graph before it. The component's
 * outputs are outputs of its graphs, by the same names.
 */
export interface Chain {
  inputs: Tensor[];
  outputs: Tensor[];
  graphs: Graph[];
  /**
   * by the contract's name, what is called otherwise here.
   */
  names: {
    [k: string]: string;
  };
  /**
   * whether it needs what WebNN has not, and runs on the CPU.
   */
  on_cpu: boolean;
  /**
   * the verdict of the last check; null where there was none.
   */
  webnn: Verdict | null;
  /**
   * the modules that stay in float32 in a float16 graph because they overflow, each with the largest absolute value measured in it.
   */
  float32_parts: {
    [k: string]: number;
  };
}
/**
 * One tensor at a graph's boundary; `dtype` is numpy's name of the type.
 */
export interface Tensor {
  name: string;
  dtype: string;
  /**
   * @maxItems 8
   */
  shape: number[];
}
/**
 * One ONNX graph of a bundle. The first file is the graph, the others are its weights.
 */
export interface Graph {
  /**
   * @minItems 1
   */
  files: [BundleFile, ...BundleFile[]];
  nodes: number;
  inputs: Tensor[];
  outputs: Tensor[];
}
/**
 * One file of a bundle; `path` is relative to the bundle, with forward slashes.
 */
export interface BundleFile {
  path: string;
  bytes: number;
  sha256: string;
}
/**
 * What keeps a component off WebNN, graph by graph.
 */
export interface Verdict {
  graphs: GraphVerdict[];
  whole: boolean;
}
/**
 * What keeps a graph off WebNN: by the rules, by the provider for each table and level, in a browser.
 */
export interface GraphVerdict {
  browser: BrowserRun | null;
  findings: string[];
  path: string;
  provider: {
    [k: string]: boolean;
  };
  whole: boolean;
}
/**
 * What a real browser did with a graph; milliseconds and error are null where it came to neither.
 */
export interface BrowserRun {
  browser: string;
  create_ms?: number | null;
  device?: string;
  onnxruntime_web?: string;
  reason: string;
  relative_l2?: number | null;
  run_ms?: number | null;
  whole: boolean;
}
/**
 * A tokenizer's files, how a prompt is brought to its length, and the component that reads its ids.
 */
export interface Tokenizer {
  /**
   * @minItems 1
   */
  files: [BundleFile, ...BundleFile[]];
  length: number;
  pad_id: number;
  text_encoder: string;
}
/**
 * How pixels become the VAE's numbers and back, in words that say it all.
 */
export interface Image {
  channels: string;
  decode: string;
  encode: string;
  layout: string;
}
