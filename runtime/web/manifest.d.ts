// A bundle's manifest. Written by: python -m turbo_webnn.scripts.schema, from docs/manifest.schema.json.

/**
 * Everything that a consumer of a bundle needs and cannot read from the graphs.
 */
export interface Manifest {
  /**
   * version of the manifest.
   */
  format: 2;
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
   * the VAE's; the decoder takes latents divided by it, the encoder's are multiplied.
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
   * inputs of the denoiser that are the same in every run, by name: one row of the batch each.
   */
  conditions: {
    [k: string]: number[];
  };
  wiring: Wiring;
  /**
   * what else the layout has.
   */
  files: BundleFile[];
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
  config?: Provenance;
  /**
   * the licence that its model card states.
   */
  license: string | null;
  /**
   * the LoRAs that are added to the weights, in order.
   */
  loras?: LoraProvenance[];
  /**
   * as the user gave it: a hub id, a folder's name, or an embedded checkpoint's.
   */
  name: string;
  /**
   * the commit on the hub.
   */
  revision: string | null;
  safety_checker?: Provenance;
  /**
   * the values that replace those of the scheduler's config.
   */
  scheduler?: {
    [k: string]: string;
  };
  unet?: Provenance;
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
 * A LoRA that is added to the weights of a checkpoint.
 */
export interface LoraProvenance {
  /**
   * the licence that its model card states.
   */
  license: string | null;
  /**
   * as the user gave it: a file's name, or a place on the hub.
   */
  name: string;
  /**
   * the commit on the hub.
   */
  revision: string | null;
  /**
   * of the file.
   */
  sha256: string;
  /**
   * the factor of its differences.
   */
  weight: number;
}
/**
 * The steps of one run from pure noise, which starts as `init_noise_sigma`·noise.
 *
 * Image to image enters at step `first(strength)`.
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
 * One step of sampling. The denoiser reads the latents times `input_scale`.
 */
export interface Step {
  /**
   * what the denoiser reads as its timestep.
   */
  timestep: number;
  /**
   * factor of the latents before the denoiser.
   */
  input_scale: number;
  next: Combination;
  clean: Combination;
  start: Combination;
}
/**
 * A sum of tensors of the latents' shape, each times its coefficient.
 */
export interface Combination {
  /**
   * coefficient of the latents before the step.
   */
  latents: number;
  /**
   * coefficient of the denoiser's output in the step.
   */
  output: number;
  /**
   * coefficient of the denoiser's output in the step before; in the first step of a run, of that step's own output, which makes a two-step method a one-step one there.
   */
  last_output: number;
  /**
   * coefficient of new standard normal noise; where it is 0, none is drawn.
   */
  noise: number;
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
   * by the contract's name, what makes the contract's tensor of the one here, whose channels are a mean and the logarithm of a variance: `first_half` takes the mean, `sample` adds exp(logarithm / 2)·noise to it.
   */
  adapters: {
    [k: string]: 'first_half' | 'sample';
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
 * Which component does what, and what the denoiser reads. Names of tensors are those of the contract.
 */
export interface Wiring {
  /**
   * the component that runs once in each step.
   */
  denoiser: string;
  /**
   * the component that makes pictures of latents divided by the scaling factor.
   */
  decoder: string;
  /**
   * the component that makes latents of pictures; null where the pipeline has none.
   */
  encoder: string | null;
  /**
   * the component that says which pictures must not be shown; null where the pipeline has none.
   */
  checker: string | null;
  /**
   * the denoiser's input that takes the latents, times the step's input scale.
   */
  latents: string;
  /**
   * the denoiser's input that takes the step's timestep.
   */
  timestep: string;
  /**
   * the denoiser's inputs that text encoders give, by name.
   */
  conditions: {
    /**
     * @minItems 1
     */
    [k: string]: [string, ...string[]];
  };
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
